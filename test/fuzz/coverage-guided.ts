/** Runs a target under Jazzer.js, which is libFuzzer with the coverage of JavaScript. */
import { spawn } from 'node:child_process'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

import { build } from 'esbuild'

import { unpackCorpus } from './corpus.ts'
import type { Target } from './targets.ts'

/** Where and how long a target runs. */
export interface FuzzRun {
  /** The command that starts Node. */
  readonly node: readonly string[]
  /** Folder for the bundle, the corpus as it grows, and inputs that failed. */
  readonly folder: string
  readonly seconds: number
  /** Seed of libFuzzer's random numbers. */
  readonly seed: number
}

/** The result of a run. */
export interface FuzzResult {
  readonly executions: number
  /** Number of edges that were reached. */
  readonly edges: number
  /** Number of features, which are edges with the range of their counters. */
  readonly features: number
  /** Number of inputs that have reached something new. */
  readonly inputs: number
  /** Bytes of the heap after a full collection: at the first sample and at the last. */
  readonly heap: readonly [first: number, last: number] | null
  readonly peakMiB: number
  /** The output and the files of the failed inputs; null if no input failed. */
  readonly failure: string | null
}

const require = createRequire(import.meta.url)
const JAZZER = path.join(path.dirname(require.resolve('@jazzer.js/core')), 'cli.js')
const BUNDLES = 'fuzz-bundles'

/** Fuzzes for the given time, beginning with the corpus of the repository. */
export async function fuzzByCoverage(target: Target, run: FuzzRun): Promise<FuzzResult> {
  const { node, folder, seconds, seed } = run
  const corpus = path.join(folder, 'corpus', target.name)
  const failures = path.join(folder, 'failures', target.name)
  const heapFile = path.join(folder, `heap-${target.name}`)
  await mkdir(failures, { recursive: true })
  await unpackCorpus(target.corpus, corpus)
  const bundle = await bundleTarget(target.name, folder)
  const [program = '', ...args] = [
    ...node,
    '--expose-gc',
    JAZZER,
    bundle,
    corpus,
    ...(target.isAsync ? [] : ['--sync']),
    ...['--includes', `${BUNDLES}/`, '--disable_bug_detectors', 'ssrf'],
    '--',
    ...[
      `-seed=${seed}`,
      `-max_total_time=${seconds}`,
      `-max_len=${target.maxLength}`,
      '-print_final_stats=1',
    ],
    ...[`-artifact_prefix=${failures}/`, `-dict=${path.join(import.meta.dirname, 'words.dict')}`],
  ]
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, FUZZ_HEAP_FILE: heapFile },
  })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const [output, code] = await Promise.all([text(child.stderr), ended])
  const kept = (await readdir(failures)).map((name) => path.join(failures, name))
  return {
    ...readStatistics(output),
    heap: await readHeap(heapFile),
    failure: code === 0 && kept.length === 0 ? null : [tail(output), ...kept].join('\n'),
  }
}

/**
 * Bundles the target into one CommonJS file, because Jazzer.js can only instrument CommonJS while
 * it loads.
 */
async function bundleTarget(name: string, folder: string): Promise<string> {
  const outfile = path.join(folder, BUNDLES, `${name}.cjs`)
  await build({
    stdin: {
      contents: `
        import { fuzz as target } from './targets/${name}.ts'
        import { watchHeap } from './heap.ts'
        export const fuzz = watchHeap(target)`,
      resolveDir: import.meta.dirname,
    },
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    packages: 'external',
    // `mime` is an ES module, whose default export a CommonJS bundle would not find.
    alias: { mime: fileURLToPath(import.meta.resolve('mime')) },
    sourcemap: 'inline',
    logLevel: 'warning',
  })
  return outfile
}

function readStatistics(output: string) {
  const last = (pattern: RegExp): number => Number([...output.matchAll(pattern)].at(-1)?.[1] ?? 0)
  return {
    executions: Math.max(last(/number_of_executed_units: +(\d+)/g), last(/^#(\d+)/gm)),
    edges: last(/ cov: (\d+)/g),
    features: last(/ ft: (\d+)/g),
    inputs: last(/ corp: (\d+)\//g),
    peakMiB: last(/peak_rss_mb: +(\d+)/g),
  }
}

async function readHeap(file: string): Promise<FuzzResult['heap']> {
  const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n').filter(Boolean)
  const sizes = lines.map(Number)
  return sizes.length < 2 ? null : [sizes[0]!, sizes.at(-1)!]
}

function tail(output: string): string {
  return output.split('\n').slice(-40).join('\n')
}
