/**
 * Events of a server that is killed between a change and its hook: the next process calls the hook.
 */
import { existsSync, readFileSync, readdirSync, renameSync } from 'node:fs'
import path from 'node:path'

import { describe, expect, it } from 'vitest'

import { field, request } from '../support/wire/client.ts'
import type { EventLine, EventMoment } from '../support/faults/events-child.ts'
import { FaultServer, newDirectory } from '../support/faults/server.ts'

const TARGET = '/files/folder/a'

/** Number of kills while three files are written. */
const ROUNDS = 6

/** The servers of one directory, one after the other. */
class Setup {
  readonly directory = newDirectory()
  readonly #own = newDirectory()
  readonly #journal = path.join(this.#own, 'journal')
  readonly #signal = path.join(this.#own, 'signal')

  async start(moment: EventMoment | null = null): Promise<FaultServer> {
    const { directory } = this
    const own = { journal: this.#journal, signal: this.#signal, moment }
    return FaultServer.start({ entry: 'events-child.ts', directory, ...own })
  }

  /** Kills the server when the change has reached the chosen moment. */
  async killAtMoment(server: FaultServer): Promise<void> {
    await expect.poll(() => existsSync(this.#signal)).toBe(true)
    await server.kill()
  }

  events(): readonly EventLine[] {
    if (!existsSync(this.#journal)) return []
    const text = readFileSync(this.#journal, 'utf8').trimEnd()
    const lines = text === '' ? [] : text.split('\n')
    return lines.map((line) => JSON.parse(line) as EventLine)
  }

  /** Returns the etag in the last event of each file; null if it was removed. */
  knownEtags(targets: readonly string[]): readonly (string | null)[] {
    return targets.map((target) => {
      const event = this.events().findLast(({ key }) => `/files/${key}` === target)
      return event?.type === 'published' ? event.etag : null
    })
  }

  notes(): readonly string[] {
    const names = readdirSync(path.join(this.directory, '.partial-upload'))
    return names.filter((name) => name.endsWith('.note'))
  }

  /**
   * Moves the only file back to its place in the staging directory, which it leaves in the last
   * step of a commit.
   */
  undoMove(key: string): void {
    const staging = path.join(this.directory, '.partial-upload')
    const name = readdirSync(staging).find((entry) => entry.endsWith('.json')) ?? ''
    const { data } = JSON.parse(readFileSync(path.join(staging, name), 'utf8')) as { data: string }
    renameSync(path.join(this.directory, key), path.join(staging, data))
  }

  async settled(): Promise<void> {
    await expect.poll(() => this.notes()).toEqual([])
  }
}

const MOMENTS: readonly (readonly [EventMoment, number])[] = [
  ['noted', 0],
  ['changed', 1],
  ['notifying', 1],
  ['notified', 2],
]

describe.each(MOMENTS)('a server that is killed with a change %s', (moment, events) => {
  it('reports a new file, without a request', async () => {
    const setup = new Setup()
    const killed = await setup.start(moment)
    const connection = await killed.connect()
    connection.send(request('PUT', TARGET, [], 'abc'))
    await setup.killAtMoment(killed)

    const next = await setup.start()
    await setup.settled()

    const etag = field(await next.send('HEAD', TARGET), 'etag') ?? ''
    const event = { type: 'published', key: 'folder/a', etag, previous: null, content: 'abc' }
    expect(await next.state(TARGET)).toBe(moment === 'noted' ? '∅' : 'C(3)')
    expect(setup.events()).toEqual(
      Array.from({ length: events }, (_, call) => ({
        ...event,
        hasRequest: events === 2 && call === 0,
      })),
    )
  })

  it('reports a replaced file with the version before', async () => {
    const setup = new Setup()
    const first = await setup.start()
    const before = field(await first.send('PUT', TARGET, [], 'abc'), 'etag')
    await first.kill()
    const killed = await setup.start(moment)
    const connection = await killed.connect()
    connection.send(request('PUT', TARGET, [], 'defg'))
    await setup.killAtMoment(killed)

    const next = await setup.start()
    await setup.settled()

    const etag = field(await next.send('HEAD', TARGET), 'etag') ?? ''
    const event = { type: 'published', etag, previous: before, content: 'defg' }
    expect(setup.events().slice(1)).toMatchObject(Array.from({ length: events }, () => event))
  })

  it('reports a removal', async () => {
    const setup = new Setup()
    const first = await setup.start()
    const etag = field(await first.send('PUT', TARGET, [], 'abc'), 'etag')
    await first.kill()
    const killed = await setup.start(moment)
    const connection = await killed.connect()
    connection.send(request('DELETE', TARGET))
    await setup.killAtMoment(killed)

    const next = await setup.start()
    await setup.settled()

    expect(await next.state(TARGET)).toBe(moment === 'noted' ? 'C(3)' : '∅')
    const event = { type: 'removed', key: 'folder/a', etag }
    expect(setup.events().slice(1)).toMatchObject(Array.from({ length: events }, () => event))
  })
})

it('reports a file with its path although the kill came before its move', async () => {
  const setup = new Setup()
  const killed = await setup.start('changed')
  const connection = await killed.connect()
  connection.send(request('PUT', TARGET, [], 'abc'))
  await setup.killAtMoment(killed)
  setup.undoMove('folder/a')

  const next = await setup.start()
  await setup.settled()

  expect(setup.events()).toMatchObject([{ key: 'folder/a', content: 'abc' }])
  expect(await next.state(TARGET)).toBe('C(3)')
})

it(
  'the last event of each file is about its last version after kills at any moment',
  { timeout: 120_000 },
  async () => {
    const setup = new Setup()
    const targets = ['/files/a', '/files/b', '/files/c']
    const rounds: unknown[][] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      const server = await setup.start()
      let requests = 0
      const writers = targets.map(async (target) => {
        const connection = await server.connect()
        for (let size = 1; ; size += 1) {
          const method = size % 3 === 0 ? 'DELETE' : 'PUT'
          const body = method === 'PUT' ? 'x'.repeat(size) : ''
          const answer = await connection.send(request(method, target, [], body)).answerOrClose()
          if (answer === null) return
          requests += 1
        }
      })
      await expect.poll(() => requests, { interval: 1 }).toBeGreaterThan(3 + round)
      await server.kill()
      await Promise.all(writers)

      const next = await setup.start()
      await setup.settled()
      rounds.push([await storedEtags(next, targets), setup.knownEtags(targets)])
      await next.kill()
    }

    expect(rounds.map(([, known]) => known)).toEqual(rounds.map(([stored]) => stored))
  },
)

/** Returns the etag of each file that HEAD reports; null if the file does not exist. */
async function storedEtags(server: FaultServer, targets: readonly string[]) {
  const etags: (string | null)[] = []
  for (const target of targets) etags.push(field(await server.send('HEAD', target), 'etag') ?? null)
  return etags
}
