/**
 * The storage contract: what readers see while a method of a writer runs. Several observers read in
 * a loop until the method has ended, so that they see each state in between that lasts long enough.
 */

import type { OpenWriterOptions, ResourceInfo, StorageAdapter } from '../adapter.ts'
import {
  ContractError,
  ATOMIC,
  BEGUN,
  FINISHED,
  FULL,
  PERSIST,
  REPLACE,
  check,
  equal,
  join,
  load,
  write,
  toText,
  flush,
} from './check.ts'
import type { StorageCheck } from './check.ts'

/**
 * Number of observers. They start one after the other, so that their reads fall on different steps
 * of the storage.
 */
const OBSERVERS = 6
/** Contents that are longer than what a storage writes in one step. */
const OLD = 'old content '.repeat(10_000)
const NEW = 'new CONTENT '.repeat(10_000)

/** One change of a resource, with the content before and after it. */
interface Case {
  readonly what: string
  /** The content before; null if the resource is absent. */
  readonly before: string | null
  readonly isFinished: boolean
  readonly options: OpenWriterOptions
  readonly position: number
  readonly text: string
  readonly after: string
}

const CASES: readonly Case[] = [
  row('a creation', null, false, ATOMIC, 0, NEW, NEW),
  row('a replacement', OLD, true, REPLACE, 0, NEW, NEW),
  row('a replacement of an upload in progress', OLD, false, REPLACE, 0, 'x', 'x'),
  row('a patch of a finished resource', OLD, true, ATOMIC, 0, NEW, NEW),
  row('an atomic append', OLD, false, ATOMIC, OLD.length, NEW, OLD + NEW),
]

function row(
  what: string,
  before: string | null,
  isFinished: boolean,
  options: OpenWriterOptions,
  position: number,
  text: string,
  after: string,
): Case {
  return { what, before, isFinished, options, position, text, after }
}

/** The checks with observers, a part of `storageContract`. */
export const visibleChecks: readonly StorageCheck[] = [
  // A commit often has several steps: rename the file, store the state, drop the old version. Each
  // reader that comes in between must see the whole old version or the whole new one, with the
  // state, the etag and the bytes of the same version. A reader that finds new bytes with the old
  // state would serve them with the old type, length and etag. One step must decide, and the others
  // must be hidden until then.
  check(
    'shows the old version or the new one while commit runs, and no mixture',
    async (storage) => {
      for (const [index, entry] of CASES.entries()) {
        const key = `case ${index}`
        await prepare(storage, key, entry)
        const before = await storage.head(key)
        const writer = await storage.openWriter(key, entry.options)
        await write(writer, entry.position, entry.text)
        const seen = observe(storage, key, writer.commit({ ...FINISHED, contentType: 'a/b' }))
        const after = await seen.work
        for (const sight of await seen.sights()) {
          expectOneOf(
            sight,
            [
              { info: before, text: entry.before },
              { info: after, text: entry.after },
            ],
            entry.what,
          )
        }
        equal(await storage.head(key), after, `head after ${entry.what}`)
        equal(await load(storage, key), entry.after, `the content after ${entry.what}`)
      }
    },
  ),

  // The bytes of a persist write are visible before the commit, which then changes the state. In
  // between, a reader must see the flushed bytes with the state before, or all bytes with the new
  // state. If `complete` becomes visible before the last bytes, a client reports the upload as
  // finished, and a GET serves a file without its end.
  check(
    'shows bytes and state of one version while a persist write is committed',
    async (storage) => {
      const creating = await storage.openWriter('a', PERSIST)
      await write(creating, 0, OLD)
      await creating.commit(BEGUN)
      const writer = await storage.openWriter('a', PERSIST)
      await write(writer, OLD.length, NEW)
      await flush(writer)
      const during = await storage.head('a')
      const text = writer.transaction === 'persist' ? OLD + NEW : OLD
      const seen = observe(storage, 'a', writer.commit({ ...FULL, complete: true }))
      const after = await seen.work
      for (const sight of await seen.sights()) {
        expectOneOf(
          sight,
          [
            { info: during, text },
            { info: after, text: OLD + NEW },
          ],
          'a commit',
        )
      }
      equal(await load(storage, 'a'), OLD + NEW, 'the content after the commit')
    },
  ),

  // An atomic write that is undone must never be seen, not even for a moment. A storage that first
  // publishes a version and then restores the old one shows a client bytes that are taken back, and
  // a cache may keep them.
  check('shows the old version while an atomic write is undone', async (storage) => {
    for (const end of ['keep', 'rollback'] as const) {
      for (const [index, entry] of CASES.entries()) {
        const key = `${end} ${index}`
        await prepare(storage, key, entry)
        const before = await storage.head(key)
        const writer = await storage.openWriter(key, entry.options)
        await write(writer, entry.position, entry.text)
        const seen = observe(storage, key, writer[end]())
        for (const sight of await seen.sights()) {
          expectOneOf(sight, [{ info: before, text: entry.before }], `${end} of ${entry.what}`)
        }
        equal(await storage.head(key), before, `head after ${end} of ${entry.what}`)
      }
    }
  }),

  // The methods of an atomic writer take time, and a GET may come while one of them runs. None of
  // them may change what readers see: not a write that creates its file under the final name, and
  // not a truncation that is done in place.
  check(
    'shows the old version while an atomic writer writes, reads and truncates',
    async (storage) => {
      for (const [index, entry] of CASES.entries()) {
        const key = `case ${index}`
        await prepare(storage, key, entry)
        const before = await storage.head(key)
        const writer = await storage.openWriter(key, entry.options)
        const allowed = [{ info: before, text: entry.before }]
        const steps: readonly (() => Promise<unknown>)[] = [
          () => write(writer, entry.position, entry.text),
          () => join(writer.read(0, 1)),
          () => writer.truncate(1),
        ]
        for (const step of steps) {
          for (const sight of await observe(storage, key, step()).sights()) {
            expectOneOf(sight, allowed, `an atomic writer at work on ${entry.what}`)
          }
        }
        await writer.rollback()
      }
    },
  ),

  // A storage that removes its files one after the other must choose an order in which no state in
  // between looks like a resource. If the record of an upload is removed before its bytes, a GET
  // serves the incomplete file as a finished one.
  check('shows a resource or nothing while it is removed', async (storage) => {
    for (const entry of CASES.filter(({ before }) => before !== null)) {
      await prepare(storage, 'a', entry)
      const before = await storage.head('a')
      const seen = observe(storage, 'a', storage.remove('a'))
      for (const sight of await seen.sights()) {
        expectOneOf(sight, [{ info: before, text: entry.before }, ABSENT], 'a removal')
      }
      equal(await load(storage, 'a'), null, 'the content after remove')
    }
  }),
]

/** What one observation has seen: a version, or no resource. */
interface Sight {
  readonly info: ResourceInfo | null
  /** The content; undefined if only `head` was called. */
  readonly text?: string | null
}

const ABSENT: Sight = { info: null, text: null }

async function prepare(storage: StorageAdapter, key: string, entry: Case): Promise<void> {
  if (entry.before === null) return
  const writer = await storage.openWriter(key, REPLACE)
  await write(writer, 0, entry.before)
  await writer.commit(entry.isFinished ? FINISHED : BEGUN)
}

/** Reads `key` by `head` and `openReader` again and again, until `work` has ended. */
function observe<T>(storage: StorageAdapter, key: string, work: Promise<T>) {
  const progress = { isDone: false }
  const done = work.finally(() => {
    progress.isDone = true
  })
  const sights: Sight[] = []
  const observer = async (delay: number): Promise<void> => {
    for (let step = 0; step < delay; step += 1) await Promise.resolve()
    for (let reads = 0; !progress.isDone; reads += 1) {
      sights.push(delay % 2 === 0 ? { info: await storage.head(key) } : await sightOf(storage, key))
      // `work` may wait for timers or the network. Promises that resolve at once would never let
      // the event loop get there.
      if (reads > OBSERVERS) await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }
  const observers = Promise.all(Array.from({ length: OBSERVERS }, (_, delay) => observer(delay)))
  return {
    work: done,
    sights: async () => {
      await Promise.all([done, observers])
      return sights
    },
  }
}

async function sightOf(storage: StorageAdapter, key: string): Promise<Sight> {
  const reader = await storage.openReader(key)
  if (reader === null) return ABSENT
  try {
    return { info: reader.info, text: await join(reader.read(0, reader.info.size)) }
  } finally {
    await reader.close()
  }
}

function expectOneOf(sight: Sight, allowed: readonly Sight[], during: string): void {
  const isAllowed = allowed.some(
    ({ info, text }) =>
      toText(sight.info) === toText(info) && (sight.text === undefined || sight.text === text),
  )
  if (isAllowed) return
  const versions = allowed.map(describe).join(' or ')
  throw new ContractError(`during ${during}: found ${describe(sight)}, expected ${versions}`)
}

function describe({ info, text }: Sight): string {
  if (info === null) return 'no resource'
  const content = text === undefined ? '' : ` with ${text?.length} bytes, ${text?.slice(0, 12)}…`
  return `${toText(info)}${content}`
}
