/**
 * Processes that are halted in the middle of a change until another process has taken their lock.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'

import { describe, expect, it, vi } from 'vitest'

import { Connection, MESSAGE, ask, field, message, request } from '../support/wire/client.ts'
import type { Answer } from '../support/wire/client.ts'
import {
  FaultServer,
  NO_TRACE,
  inject,
  newDirectory,
  reasonAgainst,
  title,
} from '../support/faults/server.ts'

const NO_CONTAINER = reasonAgainst('needs unshare and the right to use it', () =>
  execFileSync('unshare', ['--pid', '--fork', '--mount-proc', 'true'], { stdio: 'ignore' }),
)
const CONTAINER = 'exec unshare --pid --fork --kill-child --mount-proc "$@"'
/** The calls that change names: a process is halted before one of them. */
const CALLS = 'rename,renameat,renameat2,unlink,unlinkat,rmdir'
/** The calls that change the bytes of a file at a position. */
const WRITES = 'pwrite64,pwritev,pwritev2'
/**
 * The call of a change before which the process is halted, counted from 1. A change with fewer
 * calls ends before that.
 */
const NUMBERS = [1, 2, 3, 4]
const TYPE = 'text/x-successor'

interface Change {
  /** Makes the resource that is to be changed. */
  readonly prepare: (server: FaultServer, target: string) => Promise<Answer>
  /** Begins the change of the resource. `prepared` is the answer of `prepare`. */
  readonly begin: (connection: Connection, target: string, prepared: Answer) => void
}

const CHANGES: Readonly<Record<string, Change>> = {
  'completes an upload': {
    prepare: (server, target) => server.patch(target, 'bytes 0-3/10', 'abcd'),
    begin: (connection, target) =>
      connection.send(request('PATCH', target, [MESSAGE], message('bytes 4-9/10', 'efghij'))),
  },
  'replaces a file': {
    prepare: (server, target) => server.send('PUT', target, [], 'old'),
    begin: (connection, target) => connection.send(request('PUT', target, [], 'other')),
  },
  'patches a file by a layer': {
    prepare: async (server, target) => {
      await server.send('PUT', target, [], 'old')
      return server.patch(target, 'bytes 0-0/*', 'x')
    },
    // The process may be halted in a rebuild instead. The patch then begins after the change of the
    // successor. `If-Match` makes the server refuse it, because it would otherwise look like a
    // write without the lock.
    begin: (connection, target, prepared) => {
      const fields = [MESSAGE, `If-Match: ${field(prepared, 'etag')}`]
      connection.send(request('PATCH', target, fields, message('bytes 1-1/*', 'y')))
    },
  },
  'removes a file': {
    prepare: (server, target) => server.send('PUT', target, [], 'old'),
    begin: (connection, target) => connection.send(request('DELETE', target)),
  },
  'removes an expired upload': {
    prepare: (server, target) => server.patch(target, 'bytes 0-3/10', 'abcd'),
    begin: (connection) => connection.send(request('POST', '/expire')),
  },
}

/** A server in a container of its own, which is halted in the middle of a change. */
class Halted {
  readonly target: string
  /** Resolves with the end of the change. */
  readonly #end: Promise<unknown>
  readonly #pid: number
  readonly #detach: () => Promise<void>

  private constructor(
    target: string,
    end: Promise<unknown>,
    pid: number,
    detach: () => Promise<void>,
  ) {
    this.target = target
    this.#end = end
    this.#pid = pid
    this.#detach = detach
  }

  /** Starts a server, and begins a change that is halted before the call of this number. */
  static async start(
    directory: string,
    change: Change,
    call: number,
    calls = CALLS,
  ): Promise<Halted> {
    const target = `/files/${call}`
    const layers = { patch: 'layers', layersAbove: 0, rebuildAfter: 0 } as const
    const options = { entry: 'sharing.ts', directory, shell: CONTAINER, threads: 1, layers }
    const server = await FaultServer.start(options)
    const prepared = await change.prepare(server, target)
    const connection = await Connection.open(server.port, 120_000)
    const parent = server.child.pid ?? 0
    const pid = Number(readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8'))
    const detach = await inject(pid, `${calls}:delay_enter=600000000:when=${call}+`)
    change.begin(connection, target, prepared)
    const halted = new Halted(target, connection.answerOrClose(), pid, detach)
    await Promise.race([halted.#end, halted.#untilHalted()])
    process.kill(pid, 'SIGSTOP')
    return halted
  }

  /** Lets the process run to the end of its change. */
  async wake(): Promise<void> {
    await this.#detach()
    process.kill(this.#pid, 'SIGCONT')
    await this.#end
  }

  /** Resolves when a thread waits in a call that the tracer delays. */
  async #untilHalted(): Promise<void> {
    const tasks = `/proc/${this.#pid}/task`
    let times = 0
    await vi.waitFor(
      () => {
        const states = readdirSync(tasks).map((task) => {
          const stat = readFileSync(`${tasks}/${task}/stat`, 'latin1')
          return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3)
        })
        times = states.includes('t') ? times + 1 : 0
        expect(times).toBeGreaterThan(5)
      },
      { timeout: 20_000, interval: 50 },
    )
  }
}

/** Repeats a request until the lock is free. */
async function onceFree(send: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    const answer = await send()
    if (answer.status !== 409) return answer
  }
}

/** Stores a file as soon as the lock is free. */
function succeed(server: FaultServer, target: string): Promise<Answer> {
  return onceFree(() => ask(server, 'PUT', target, [`Content-Type: ${TYPE}`], 'successor'))
}

async function stateOf(server: FaultServer, target: string): Promise<readonly unknown[]> {
  const { status, fields, body } = await ask(server, 'GET', target)
  const [type] = fields.filter(([name]) => name.toLowerCase() === 'content-type')
  return [status, type?.[1], body.toString()]
}

describe.skipIf(NO_CONTAINER !== null || NO_TRACE !== null)(
  title('a process that is halted before it', NO_CONTAINER, NO_TRACE),
  { timeout: 180_000 },
  () => {
    it.each(Object.entries(CHANGES))(
      '%s does not change the upload of its successor',
      async (_, change) => {
        const directory = newDirectory()
        const times = { stall: 60_000, wait: 500 }
        const other = await FaultServer.start({ entry: 'sharing.ts', directory, times })
        const halted: Halted[] = []
        for (const call of NUMBERS) halted.push(await Halted.start(directory, change, call))

        const answers = await Promise.all(halted.map(({ target }) => succeed(other, target)))
        await Promise.all(halted.map((process) => process.wake()))

        for (const { status } of answers) expect([201, 204]).toContain(status)
        const states = await Promise.all(halted.map(({ target }) => stateOf(other, target)))
        expect(states).toEqual(halted.map(() => [200, TYPE, 'successor']))
      },
    )

    it.each([
      { when: 'after it has stored the same bytes', segments: ['bytes 4-9/14'] },
      { when: 'after it has finished the file', segments: ['bytes 4-9/14', 'bytes 10-13/14'] },
    ])('writes nothing into the upload of its successor $when', async ({ segments }) => {
      const directory = newDirectory()
      const times = { stall: 60_000, wait: 500 }
      const other = await FaultServer.start({ entry: 'sharing.ts', directory, times })
      const change: Change = {
        prepare: (server, target) => server.patch(target, 'bytes 0-3/14', 'abcd'),
        begin: (connection, target) =>
          connection.send(request('PATCH', target, [MESSAGE], message('bytes 4-9/14', 'XXXXXX'))),
      }
      const halted = await Halted.start(directory, change, 1, WRITES)
      const { target } = halted

      for (const range of segments) {
        await onceFree(() => other.patch(target, range, range === segments[0] ? 'efghij' : 'klmn'))
      }
      await halted.wake()
      if (segments.length === 1) await other.patch(target, 'bytes 10-13/14', 'klmn')

      const { status, body } = await ask(other, 'GET', target)
      expect([status, body.toString()]).toEqual([200, 'abcdefghijklmn'])
    })
  },
)
