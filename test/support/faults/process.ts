/**
 * Server processes that can be killed. Does not import the test runner, so that scripts can start
 * them, too.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'

import { buildSync } from 'esbuild'

const CACHE = path.join(import.meta.dirname, '../../../node_modules/.cache/partial-upload-faults')

const bundles = new Map<string, string>()

/**
 * Bundles a program of this folder with its imports, once, because a server that has to
 * compile its source first takes a second to start instead of a quarter.
 */
function bundle(entry: string): string {
  const known = bundles.get(entry)
  if (known !== undefined) return known
  const outfile = path.join(CACHE, `${process.pid}-${path.basename(entry, '.ts')}.mjs`)
  buildSync({
    entryPoints: [path.join(import.meta.dirname, entry)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    conditions: ['@partial-upload/source'],
    // Express and its dependencies are CommonJS and call `require` for built-in modules.
    banner: {
      js: `import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)`,
    },
  })
  bundles.set(entry, outfile)
  return outfile
}

/** Removes the files of `bundle`. */
export function removeBundles(): void {
  for (const file of bundles.values()) rmSync(file, { force: true })
  bundles.clear()
}

/** How a server is started beyond its options. */
export interface ProcessOptions {
  /** The program in this folder. */
  readonly entry: string
  /** Shell commands that run before the server, such as `ulimit`. */
  readonly shell?: string
  /** Calls to the file system that may run at a time. */
  readonly threads?: number
}

/** A server that listens. */
export interface ServerProcess {
  readonly child: ChildProcess
  readonly port: number
  /** Process id of the server itself, even if a shell has started it. */
  readonly pid: number
}

/** Starts a program with `options` as JSON. Its first line has its port and its process id. */
export async function startProcess(
  options: object,
  { entry, shell = '', threads = 4 }: ProcessOptions,
  onSpawn: (child: ChildProcess) => void = () => undefined,
): Promise<ServerProcess> {
  const child = spawn(
    'sh',
    ['-c', `${shell}\nexec "$@"`, 'sh', process.execPath, bundle(entry), JSON.stringify(options)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '', UV_THREADPOOL_SIZE: String(threads) },
    },
  )
  onSpawn(child)
  for await (const line of createInterface({ input: child.stdout })) {
    const { port, pid } = JSON.parse(line) as { port: number; pid: number }
    return { child, port, pid }
  }
  throw new Error('the server has not started')
}

/** Ends a process at once, as a crash does. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}
