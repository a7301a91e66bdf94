/** Events of a hook that fails, and of notes that a crash has left. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import type { Notifications } from '../../src/hooks.ts'
import { Events } from '../../src/protocol/events.ts'
import { memoryNotes } from '../../src/protocol/change-note.ts'
import type { ChangeNotes, ResourceInfo, StorageAdapter } from '../../src/storage/adapter.ts'
import { memoryStorage } from '../../src/storage/memory.ts'

const STATE = {
  everComplete: true,
  completeLength: null,
  contentType: 'text/plain',
  contentDisposition: 'attachment; filename="a.txt"',
  reprDigest: null,
  owner: 'ann',
}

/** A storage with one key, the events of it, and hooks that fail while `isAway`. */
class Setup {
  readonly calls: unknown[] = []
  readonly notes = memoryNotes()
  readonly storage: StorageAdapter
  readonly events: Events
  isAway = false
  isLost = false

  constructor(hooks: Partial<Notifications> = {}, notes: Partial<ChangeNotes> = {}) {
    this.storage = {
      ...memoryStorage(),
      notes: { ...this.notes, list: () => listOf('a'), ...notes },
    }
    this.events = this.#newEvents(hooks)
  }

  #newEvents(hooks: Partial<Notifications>): Events {
    const call = async (name: string, resource: object, previous: ResourceInfo | null) => {
      if (this.isAway) throw new Error('away')
      this.calls.push([name, resource, previous?.etag ?? null])
    }
    const all: Notifications = {
      onPublished: async ({ previous, etag }) => call('published', { etag }, previous),
      onRemoved: async ({ etag }) => call('removed', { etag }, null),
      ...hooks,
    }
    const withLock = <T>(_key: string, work: (isLost: () => boolean) => Promise<T>) =>
      work(() => false)
    return new Events({ storage: this.storage, hooks: all, withLock })
  }

  /** The next process on the same storage. */
  async restart(): Promise<void> {
    this.#newEvents({}).start(() => undefined)
    await vi.advanceTimersByTimeAsync(0)
  }

  async store(complete: boolean, everComplete = complete): Promise<ResourceInfo> {
    const state = { ...STATE, complete, everComplete }
    const options = { transaction: 'atomic', replace: true, initial: state } as const
    const writer = await this.storage.openWriter('a', options)
    await writer.write(0, [Buffer.from('abc')])
    return writer.commit(state)
  }

  #change<Base>(base: Base) {
    const hooks = {
      onPublished: async ({ etag, previous }: { etag: string; previous: ResourceInfo | null }) => {
        if (this.isAway) throw new Error('away')
        this.calls.push(['published', { etag }, previous?.etag ?? null])
      },
      onRemoved: async ({ etag }: { etag: string }) => {
        if (this.isAway) throw new Error('away')
        this.calls.push(['removed', { etag }, null])
      },
    }
    return { key: 'a', base, hooks, isLost: () => this.isLost }
  }

  async publish(commit = () => this.store(true)): Promise<ResourceInfo> {
    return this.events.publish(this.#change(await this.storage.head('a')), commit)
  }

  async remove(): Promise<void> {
    const base = await this.storage.head('a')
    if (base === null) throw new Error('nothing to remove')
    await this.events.remove(this.#change(base), async () => void (await this.storage.remove('a')))
  }
}

let warnings: unknown[] = []
beforeEach(() => {
  vi.useFakeTimers()
  warnings = []
  vi.spyOn(process, 'emitWarning').mockImplementation((warning) => void warnings.push(warning))
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

describe('a hook that fails', () => {
  test('is called again until it resolves', async () => {
    const setup = new Setup()
    setup.isAway = true
    const { etag } = await setup.publish()
    await vi.advanceTimersByTimeAsync(1000)
    setup.isAway = false

    await vi.advanceTimersByTimeAsync(60_000)

    expect(setup.calls).toEqual([['published', { etag }, null]])
    expect(warnings).toHaveLength(2)
    expect(await setup.notes.read('a')).toBeNull()
  })

  test('is called with the last version, and with the one that the app knows as previous', async () => {
    const setup = new Setup()
    const first = await setup.publish()
    setup.isAway = true
    await setup.publish()
    const third = await setup.publish()
    setup.isAway = false

    await vi.advanceTimersByTimeAsync(60_000)

    expect(setup.calls.slice(1)).toEqual([['published', { etag: third.etag }, first.etag]])
  })

  test('is not called any more after a later version was reported', async () => {
    const setup = new Setup()
    setup.isAway = true
    await setup.publish()
    setup.isAway = false
    const { etag } = await setup.publish()

    await vi.advanceTimersByTimeAsync(60_000)

    expect(setup.calls).toMatchObject([['published', { etag }, expect.any(String)]])
  })

  test('is also called for a removal', async () => {
    const setup = new Setup()
    const { etag } = await setup.publish()
    setup.isAway = true
    await setup.remove()
    setup.isAway = false

    await vi.advanceTimersByTimeAsync(60_000)

    expect(setup.calls.slice(1)).toEqual([['removed', { etag }, null]])
  })
})

describe('the next process', () => {
  test.each([
    ['a file in place of the removed one', true, true, 'published'],
    ['an upload in place of the removed file', false, false, 'removed'],
  ])('reports %s', async (_name, complete, everComplete, type) => {
    const setup = new Setup()
    const first = await setup.publish()
    setup.isAway = true
    await setup.remove()
    setup.isAway = false
    const second = await setup.store(complete, everComplete)

    await setup.restart()

    const etag = complete ? second.etag : first.etag
    expect(setup.calls.slice(1)).toEqual([[type, { etag }, complete ? first.etag : null]])
  })

  test('does not report a removal of a file that was reopened', async () => {
    const setup = new Setup()
    await setup.publish()
    setup.isAway = true
    await setup.publish()
    setup.isAway = false
    await setup.store(false, true)

    await setup.restart()

    expect(setup.calls).toHaveLength(1)
    expect(await setup.notes.read('a')).toBeNull()
  })

  test.each(['', '[]', 'null', '{"known":{"etag":1}}', '{"known":{"complete":true}}'])(
    'reports the file of a damaged note: %j',
    async (note) => {
      const setup = new Setup()
      const { etag } = await setup.store(true)
      await setup.notes.write('a', note)

      await setup.restart()

      expect(setup.calls).toEqual([['published', { etag }, null]])
    },
  )
})

test('a failed commit is not reported', async () => {
  const setup = new Setup()
  await setup.publish()
  const failed = setup.publish(() => Promise.reject(new Error('the disk is full')))

  await expect(failed).rejects.toThrow('the disk is full')
  await vi.advanceTimersByTimeAsync(60_000)

  expect(setup.calls).toHaveLength(1)
  expect(await setup.notes.read('a')).toBeNull()
})

test('a process that has lost the lock leaves the note to its successor', async () => {
  const setup = new Setup()
  setup.isLost = true

  await setup.publish()

  expect(setup.calls).toHaveLength(1)
  expect(await setup.notes.read('a')).not.toBeNull()
})

test('a resource is removed and reported although no note can be written', async () => {
  let isFull = false
  const setup = new Setup(
    {},
    { write: async () => (isFull ? Promise.reject(new Error('full')) : undefined) },
  )
  await setup.publish()
  isFull = true

  await setup.remove()

  expect(await setup.storage.head('a')).toBeNull()
  expect(setup.calls.at(-1)).toMatchObject(['removed', {}, null])
})

test('a note that can not be removed leads to a second report', async () => {
  let failures = 1
  const setup = new Setup(
    {},
    {
      remove: async (key) => {
        failures -= 1
        if (failures >= 0) throw new Error('the disk fails')
        await setup.notes.remove(key)
      },
    },
  )

  const { etag } = await setup.publish()
  await vi.advanceTimersByTimeAsync(60_000)

  const event = ['published', { etag }, null]
  expect(setup.calls).toEqual([event, event])
})

test('no note is written without hooks of the app', async () => {
  const written: string[] = []
  const setup = new Setup(
    { onPublished: null, onRemoved: null },
    { write: async (key) => void written.push(key) },
  )

  await setup.publish()
  await setup.remove()

  expect(written).toEqual([])
})

async function* listOf(...keys: readonly string[]) {
  yield* keys
}
