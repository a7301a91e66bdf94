/**
 * Measures this package beside others and prints Markdown tables.
 *
 *     npm run bench -- --size 1G --rounds 3 --directory /var/tmp
 *
 * Each measurement has a server of its own in a process of its own. The contestants take turns within
 * a round, and the tables show medians over the rounds.
 */

import type { ChildProcess } from 'node:child_process'
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'

import { CASES, contestantsOf, type CaseName, type Contestant } from './contestants.ts'
import { start } from './ipc.ts'
import { measure, type Sample, type Work } from './measure.ts'
import {
  formatBody,
  formatMachine,
  formatMemory,
  formatRequests,
  formatTargets,
  medianOf,
  type Medians,
} from './report.ts'

const { values: options } = parseArgs({
  options: {
    /** Bytes of the large body. */
    size: { type: 'string', default: '1G' },
    /** Segments of one upload. */
    segments: { type: 'string', default: '2000' },
    /** HEAD requests. */
    heads: { type: 'string', default: '5000' },
    /** Bytes of the two bodies whose peak memory is compared. */
    'small-size': { type: 'string', default: '64M' },
    'large-size': { type: 'string', default: '4G' },
    rounds: { type: 'string', default: '3' },
    /** Where the servers store: the file system that is measured. */
    directory: { type: 'string', default: tmpdir() },
    /** Further `fsync` settings of this package to measure, besides its default. */
    fsync: { type: 'string', multiple: true, default: [] },
    /** Cases to measure; all if not given. */
    case: { type: 'string', multiple: true, default: [...CASES] },
  },
})

const SEGMENT_SIZE = 64 * 1024
const rounds = parseSize(options.rounds)
const body: Work = { kind: 'body', count: 1, size: parseSize(options.size) }
const segments: Work = {
  kind: 'segments',
  count: parseSize(options.segments),
  size: SEGMENT_SIZE,
}
const head: Work = { kind: 'head', count: parseSize(options.heads), size: 0 }
const small: Work = { kind: 'body', count: 1, size: parseSize(options['small-size']) }
const large: Work = { kind: 'body', count: 1, size: parseSize(options['large-size']) }

const client = start('client.js')
try {
  await main()
} finally {
  client.kill()
}

async function main(): Promise<void> {
  const results = new Map<CaseName | 'memory-large', Medians>()
  console.log(formatMachine(options.directory, rounds))
  for (const name of CASES.filter((known) => options.case.includes(known))) {
    console.log(await report(name, results))
  }
  console.log(formatTargets(results))
}

async function report(
  name: CaseName,
  results: Map<CaseName | 'memory-large', Medians>,
): Promise<string> {
  const run = (work: Work, warmUp: Work | null) => runRounds(client, name, work, warmUp)
  switch (name) {
    case 'body': {
      const medians = await run(body, { ...body, size: Math.min(body.size, 32 * 2 ** 20) })
      results.set(name, medians)
      return formatBody(medians, body)
    }
    case 'segments':
    case 'head': {
      const work = name === 'head' ? head : segments
      const medians = await run(work, { ...work, count: Math.ceil(work.count / 5) })
      results.set(name, medians)
      return formatRequests(medians, work)
    }
    case 'memory': {
      const ofSmall = await run(small, null)
      const ofLarge = await run(large, null)
      results.set('memory', ofSmall).set('memory-large', ofLarge)
      return formatMemory(ofSmall, ofLarge, { small: small.size, large: large.size })
    }
  }
}

async function runRounds(
  sender: ChildProcess,
  name: CaseName,
  work: Work,
  warmUp: Work | null,
): Promise<Medians> {
  const contestants = contestantsOf(name, options.fsync)
  const samples = new Map<Contestant, Sample[]>(contestants.map((each) => [each, []]))
  for (let round = 0; round < rounds; round += 1) {
    for (const [contestant, found] of samples) {
      const sample = await measure(sender, contestant, {
        parent: options.directory,
        warmUp,
        work,
      })
      console.error(`${name} ${round + 1}/${rounds} ${contestant.label}: ${format(sample)}`)
      found.push(sample)
    }
  }
  return new Map([...samples].map(([{ label }, found]) => [label, medianOf(found)]))
}

function format({ seconds, cpu, peak }: Sample): string {
  return `${seconds.toFixed(2)} s, CPU ${cpu.toFixed(2)} s, peak ${(peak / 2 ** 20).toFixed(0)} MiB`
}

/** A count, or bytes with a binary suffix: `64K`, `256M`, `1G`. */
function parseSize(text: string): number {
  const match = /^(\d+)([KMG]?)$/.exec(text)
  const size = Number(match?.[1]) * 1024 ** ['', 'K', 'M', 'G'].indexOf(match?.[2] ?? '')
  if (Number.isSafeInteger(size) && size > 0) return size
  throw new TypeError(`${text}: expected a positive number, such as 2000 or 256M`)
}
