/** A server in a process of its own, and faults of its file system and its system calls. */
import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'

import { afterAll, onTestFinished, vi } from 'vitest'

import { Connection, MESSAGE, field, message, request } from '../wire/client.ts'
import type { Answer, Bytes } from '../wire/client.ts'
import { stateOf } from '../wire/server.ts'
import type { ChildOptions } from './child.ts'
import { kill, removeBundles, startProcess } from './process.ts'
import type { SharingOptions } from './sharing.ts'

export { pattern } from './pattern.ts'

afterAll(removeBundles)

/** How a server is started beyond its options. */
export interface StartOptions
  extends ChildOptions, Pick<SharingOptions, 'workers' | 'times' | 'layers'> {
  /** The program in this folder; by default `child.ts`. */
  readonly entry?: string
  /** Shell commands that run before the server, such as `ulimit`. */
  readonly shell?: string
  /** Calls to the file system that may run at a time. */
  readonly threads?: number
}

/** A server process. */
export class FaultServer {
  readonly port: number
  readonly pid: number
  /** The child process: the server, or the shell that has started it. */
  readonly child: ChildProcess
  readonly #connections = new Set<Connection>()
  #own: Connection | null = null

  private constructor(child: ChildProcess, port: number, pid: number) {
    this.child = child
    this.port = port
    this.pid = pid
  }

  /** Starts a server, which the end of the test stops. */
  static async start(options: StartOptions): Promise<FaultServer> {
    const { entry = 'child.ts', shell = '', threads = 4, ...rest } = options
    const { child, port, pid } = await startProcess(rest, { entry, shell, threads }, (started) =>
      onTestFinished(() => void started.kill('SIGKILL')),
    )
    return new FaultServer(child, port, pid)
  }

  /** Ends the process at once, as a crash does. */
  async kill(): Promise<void> {
    for (const connection of this.#connections) connection.socket.destroy()
    await kill(this.child)
  }

  async connect(): Promise<Connection> {
    const connection = await Connection.open(this.port)
    this.#connections.add(connection)
    connection.socket.on('close', () => this.#connections.delete(connection))
    return connection
  }

  /**
   * Sends a request on a connection that further calls use; opens another one if a fault has closed
   * it.
   */
  async send(
    method: string,
    target: string,
    fields: readonly string[] = [],
    body: Bytes = '',
  ): Promise<Answer> {
    if (this.#own?.isOpen !== true) this.#own = await this.connect()
    const answer = await this.#own.send(request(method, target, fields, body)).answer(method)
    if (field(answer, 'connection') === 'close') this.#own = null
    return answer
  }

  /** A PATCH with message/byteranges. */
  async patch(target: string, contentRange: string, data: Bytes = ''): Promise<Answer> {
    return this.send('PATCH', target, [MESSAGE], message(contentRange, data))
  }

  /** The state of a resource by HEAD: `∅`, `I(4/10)` or `C(10)`. */
  async state(target: string): Promise<string> {
    return stateOf(await this.send('HEAD', target))
  }

  /** Resolves once HEAD reports the state. */
  async becomes(target: string, state: string): Promise<void> {
    await vi.waitFor(
      async () => {
        const found = await this.state(target)
        if (found !== state) throw new Error(`${target} is ${found}, not yet ${state}`)
      },
      { timeout: 20_000, interval: 10 },
    )
  }

  /** Paths of the open files of the process, without sockets and pipes. */
  files(): readonly string[] {
    const handles = `/proc/${this.pid}/fd`
    return readdirSync(handles).flatMap((handle) => {
      try {
        const target = readlinkSync(path.join(handles, handle))
        return target.startsWith('/') && !target.startsWith('/dev/') ? [target] : []
      } catch {
        return []
      }
    })
  }

  /** Number of open handles of the process. */
  handles(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length
  }

  /** Resolves once the process has at most this number of handles. */
  async waitForHandles(handles: number): Promise<void> {
    await vi.waitFor(
      () => {
        const open = this.handles()
        if (open > handles) throw new Error(`${open} handles are open: ${this.files().join(' ')}`)
      },
      { timeout: 20_000, interval: 20 },
    )
  }
}

/** A directory in memory if the system has one, and otherwise that for temporary files. */
export const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** A new directory, which the end of the test removes. */
export function newDirectory(parent = tmpdir()): string {
  const directory = mkdtempSync(path.join(parent, 'partial-upload-fault-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** A file system of its own with these mount options, which the end of the test unmounts. */
export function newMount(options: string): string {
  const directory = newDirectory()
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory])
  onTestFinished(() => void execFileSync('umount', ['-l', directory]))
  return directory
}

/** Remounts with other options. */
export function remount(directory: string, options: string): void {
  execFileSync('mount', ['-o', `remount,${options}`, directory])
}

/** The reason that tests can't mount here, for the title of a skipped test; null if they can. */
export const NO_MOUNT = reasonAgainst('needs mount', () => {
  const script =
    'd=$(mktemp -d) && mount -t tmpfs tmpfs "$d" && umount "$d"; e=$?; rmdir "$d"; exit $e'
  execFileSync('sh', ['-c', script], { stdio: 'ignore' })
})

/** The reason that system calls can't be traced here; null if they can. */
export const NO_TRACE = reasonAgainst('needs strace and the right to attach it', () => {
  const script =
    'sleep 9 & p=$!; timeout 0.3 strace -f -o /dev/null -p $p -e inject=fsync:error=EIO; e=$?; kill $p; exit $e'
  try {
    execFileSync('sh', ['-c', script], { stdio: 'ignore' })
  } catch (error) {
    // 124: strace was attached until `timeout` ended it.
    if ((error as { status?: number }).status !== 124) throw error
  }
})

/** The reason that handles can't be counted here; null if they can. */
export const NO_PROC = reasonAgainst('needs /proc', () => readdirSync('/proc/self/fd'))

/** `reason` if the attempt throws; null if it succeeds. */
export function reasonAgainst(reason: string, attempt: () => unknown): string | null {
  try {
    attempt()
    return null
  } catch {
    return reason
  }
}

/** The title of a test, with the reason if it is skipped. */
export function title(text: string, ...reasons: readonly (string | null)[]): string {
  const reason = reasons.find((other) => other !== null)
  return reason === undefined ? text : `${text} (${reason})`
}

/**
 * Makes system calls of a process fail until the returned function is called; with `file`, only
 * those that name this file.
 */
export async function inject(
  pid: number,
  fault: string,
  file?: string,
): Promise<() => Promise<void>> {
  const [calls = ''] = fault.split(':', 1)
  const options = ['-f', '-o', '/dev/null', '-e', `trace=${calls}`, '-e', `inject=${fault}`]
  if (file !== undefined) options.push('-P', file)
  return attach(pid, options)
}

/**
 * The number of system calls per second of a process with its threads, counted for `duration`
 * milliseconds.
 */
export async function systemCallRate(pid: number, duration: number): Promise<number> {
  const summary = path.join(newDirectory(), 'summary')
  const detach = await attach(pid, ['-f', '-c', '-o', summary])
  const startedAt = performance.now()
  await new Promise((resolve) => setTimeout(resolve, duration))
  await detach()
  const seconds = (performance.now() - startedAt) / 1000
  const [, calls] = /(\d+)(?: +\d+)? total$/m.exec(readFileSync(summary, 'latin1')) ?? []
  return Number(calls) / seconds
}

/** Traces a process until the returned function is called. */
async function attach(pid: number, options: readonly string[]): Promise<() => Promise<void>> {
  const tracer = spawn('strace', [...options, '-p', String(pid)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  for await (const line of createInterface({ input: tracer.stderr })) {
    if (/attached/.test(line)) break
    throw new Error(line)
  }
  return async () => {
    const exited = once(tracer, 'exit')
    tracer.kill('SIGINT')
    await exited
  }
}
