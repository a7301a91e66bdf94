/** The storage contract: the state of a resource, and the validators of its versions. */

import type { ResourceInfo, ResourceState, StorageAdapter } from '../adapter.ts'
import {
  ContractError,
  ATOMIC,
  BEGUN,
  FINISHED,
  FULL,
  PERSIST,
  REPLACE,
  begin,
  change,
  check,
  equal,
  load,
  openPersist,
  stateOf,
  store,
  write,
  toText,
  flush,
} from './check.ts'
import type { StorageCheck } from './check.ts'

/**
 * Pauses in milliseconds after which the clock of a storage shows a later time: with a resolution
 * below one second, and with one of a second.
 */
const MOMENT_MS = 40
const SECOND_MS = 1100

/** The states that have one member of `FULL` and the others of `BEGUN`. */
const SINGLE_MEMBERS: readonly ResourceState[] = Object.entries(FULL).map(
  ([name, value]: [string, unknown]) => ({
    ...BEGUN,
    [name]: value,
  }),
)

/** Each member of `FULL` alone, and all members together. */
const STATES: readonly ResourceState[] = [
  BEGUN,
  ...SINGLE_MEMBERS,
  FULL,
  { ...FULL, complete: true },
  { ...FULL, completeLength: 0 },
  FINISHED,
]

/** The checks of the state, the info and the date of a version, a part of `storageContract`. */
export const stateChecks: readonly StorageCheck[] = [
  // The protocol makes decisions from each member, so that the storage must return all of them as
  // they were committed: no member lost, none exchanged with another, none derived from another,
  // and `null` kept apart from an empty string. The commit, HEAD, a reader and the next writer must
  // agree. If `owner` is lost, one user can finish the upload of another; if the type is, browsers
  // show the file as something else.
  check('stores each member of the state as it is', async (storage) => {
    for (const options of [PERSIST, ATOMIC, REPLACE]) {
      for (const state of STATES) {
        const writer = await storage.openWriter('a', options)
        await write(writer, 0, 'abc')
        equal(stateOf(await writer.commit(state)), state, 'the state that commit returns')
        equal(stateOf(await storage.head('a')), state, 'the state that head returns')
        const reader = await storage.openReader('a')
        equal(stateOf(reader?.info ?? null), state, 'the state of a reader')
        await reader?.close()
        const next = await storage.openWriter('a', options)
        equal(stateOf(next.base), state, 'the state of the base')
        await next.rollback()
      }
      await storage.remove('a')
    }
  }),

  // A commit without a write must change the state and keep the bytes, under a new etag. An answer
  // with another media type is another representation even with the same bytes. If the etag stayed,
  // a cache would serve the old type for as long as it keeps the file.
  check('changes the state alone, under another etag for each member', async (storage) => {
    await begin(storage, 'a', 'abc')
    for (const options of [PERSIST, ATOMIC]) {
      for (const state of STATES) {
        // Commit the states in both directions, so that each member changes from null to a value
        // and from a value to null.
        for (const next of [state, BEGUN]) {
          const before = await storage.head('a')
          const writer = await storage.openWriter('a', options)
          const after = await writer.commit(next)
          equal(stateOf(after), next, 'the state that commit returns')
          equal(await load(storage, 'a'), 'abc', 'the content')
          if (toText(stateOf(before)) === toText(next)) continue
          if (before?.etag === after.etag) {
            const [from, to] = [before, after].map((info) => toText(stateOf(info)))
            throw new ContractError(
              `the etag after ${from} became ${to}: found ${after.etag} again, expected another`,
            )
          }
        }
      }
    }
  }),

  // The first bytes of a persist write create the resource, in the state `initial`. If the server
  // is killed before the commit, this is all that is known of the upload. An adapter that stores
  // only the bytes loses the length, the type and the owner, so that the client that resumes is
  // refused, or any other one is let in.
  check('creates a resource in its initial state with every member', async (storage) => {
    for (const [index, state] of [BEGUN, ...SINGLE_MEMBERS, FULL].entries()) {
      const initial = { ...state, complete: false }
      const key = `key-${index}`
      const writer = await storage.openWriter(key, { ...PERSIST, initial })
      if (writer.transaction === 'persist') {
        await write(writer, 0, 'abc')
        await flush(writer)
        equal(stateOf(await storage.head(key)), initial, 'the state after the first write')
        await write(writer, 3, 'def')
        equal(stateOf(await storage.head(key)), initial, 'the state after the second write')
        await writer.keep()
        equal(stateOf(await storage.head(key)), initial, 'the state after keep')
      } else {
        await writer.rollback()
      }
    }
  }),

  // The caller may change or reuse the object that it has passed. A storage that keeps a reference,
  // as a store in memory easily does, would change the stored state without a commit and without a
  // new etag.
  check('keeps its own copy of a state', async (storage) => {
    for (const options of [PERSIST, ATOMIC, REPLACE]) {
      const lent = { ...FULL }
      const writer = await storage.openWriter('a', { ...options, initial: lent })
      await write(writer, 0, 'abc')
      Object.assign(lent, { owner: 'changed', contentType: 'changed/later' })
      if (writer.transaction === 'persist' && writer.base === null) {
        await flush(writer)
        equal(stateOf(await storage.head('a')), FULL, 'the state after `initial` was changed')
      }
      const committed = { ...FULL }
      await writer.commit(committed)
      Object.assign(committed, { owner: 'changed', contentType: 'changed/later' })
      equal(stateOf(await storage.head('a')), FULL, 'the state after the committed one was changed')
      await storage.remove('a')
    }
  }),

  // The protocol keeps an info while it works: it checks the preconditions with it, and builds the
  // answer from it later. A storage must return a copy, and not an object that it updates with the
  // resource. Otherwise the answer has an etag of a version that is not the one that was checked.
  check('never changes an info that it has returned', async (storage) => {
    await begin(storage, 'a', 'abc')
    for (const options of [PERSIST, ATOMIC, REPLACE]) {
      const reader = await storage.openReader('a')
      const writer = await storage.openWriter('a', options)
      const infos: readonly (ResourceInfo | null | undefined)[] = [
        await storage.head('a'),
        reader?.info,
        writer.base,
      ]
      const copies = infos.map(toText)
      await write(writer, 3, 'def')
      const committed = await writer.commit(FULL)
      const copy = toText(committed)
      await change(storage, PERSIST, 6, 'ghi', { ...FULL, owner: 'another' })
      for (const [index, name] of ['head', 'openReader', 'base'].entries()) {
        equal(toText(infos[index]), copies[index], `the info from ${name}, later`)
      }
      equal(toText(committed), copy, 'the info from commit, later')
      await reader?.close()
      await change(storage, REPLACE, 0, 'abc', BEGUN)
    }
  }),

  // `base` must be the version that `head` shows at this moment, from storage and not from a cache,
  // and null if the resource is absent. Preconditions are checked against it. With an old one,
  // `If-Match` would let a client change a version that it has never seen.
  check('begins a writer with the current version', async (storage) => {
    const expectBase = async (key: string, what: string): Promise<void> => {
      for (const options of [PERSIST, ATOMIC, REPLACE]) {
        const writer = await storage.openWriter(key, options)
        equal(writer.base, await storage.head(key), `the base of a writer ${what}`)
        if (writer.base === null) {
          equal(await load(storage, key), null, `the content ${what}`)
        }
        await writer.rollback()
      }
    }
    for (const fill of [begin, store]) {
      await expectBase(fill.name, 'of an absent resource')
      await fill(storage, fill.name, 'abc')
      await expectBase(fill.name, 'of a stored resource')
      await fill(storage, fill.name, 'abcdef')
      await expectBase(fill.name, 'after a second write')
      equal(await storage.remove(fill.name), true, 'remove')
      await expectBase(fill.name, 'after remove')
      equal(await storage.head(fill.name), null, 'head after remove')
    }
  }),

  // The storage may still have bytes, parts or tags of the removed resource under the same name. A
  // new resource must begin without them. Otherwise a user who has removed a file finds a piece of
  // it in the next one with this name.
  check('starts over after a remove, without the bytes before it', async (storage) => {
    for (const fill of [begin, store]) {
      for (const options of [PERSIST, ATOMIC, REPLACE]) {
        await fill(storage, 'a', 'secret bytes')
        await storage.remove('a')
        const writer = await storage.openWriter('a', options)
        equal(writer.base, null, 'the base after remove')
        equal(
          writer.transaction,
          options === PERSIST ? writer.transaction : 'atomic',
          'transaction',
        )
        await write(writer, 0, 'xy')
        const info = await writer.commit(BEGUN)
        equal(info.size, 2, 'the size of the new resource')
        equal(await load(storage, 'a'), 'xy', 'the content of the new resource')
        await storage.remove('a')
      }
    }
  }),

  // A client without an etag sends the time in `If-Unmodified-Since`, a cache uses it for its
  // heuristics, and expiry measures from it how long a client has been away. It must move with each
  // new version, even if only the state changes, and must stay while nothing changes: an upload
  // whose time does not move is removed while its client is sending.
  check('moves lastModified with each version, and only then', async (storage) => {
    await begin(storage, 'a', 'abc')
    const step = async (what: string, make: () => Promise<unknown>): Promise<void> => {
      const before = dateOf(await storage.head('a'))
      // The storage may round times to whole seconds.
      const pause = before % 1000 === 0 ? SECOND_MS : MOMENT_MS
      await new Promise((resolve) => setTimeout(resolve, pause))
      equal(dateOf(await storage.head('a')), before, `lastModified some time before ${what}`)
      await make()
      const after = dateOf(await storage.head('a'))
      if (after <= before) {
        throw new ContractError(
          `lastModified after ${what}: found ${after}, expected more than ${before}`,
        )
      }
    }
    await step('an append', () => change(storage, PERSIST, 3, 'def', BEGUN))
    await step('an append that is kept', () => keepAppend(storage))
    await step('an atomic append', () => change(storage, ATOMIC, 3, 'ghi', BEGUN))
    await step('a new type', () => change(storage, PERSIST, 0, '', FULL))
    await step('the end', () => change(storage, PERSIST, 0, '', FINISHED))
    await step('a patch', () => change(storage, ATOMIC, 0, 'X', FINISHED))
    await step('a replacement', () => change(storage, REPLACE, 0, 'abc', FINISHED))
  }),
]

/** Appends, without a commit if the storage has persist writers. */
async function keepAppend(storage: StorageAdapter): Promise<void> {
  const size = (await storage.head('a'))?.size ?? 0
  const writer = await openPersist(storage, 'a')
  if (writer === null) return change(storage, ATOMIC, size, 'kept', BEGUN)
  await write(writer, size, 'kept')
  await writer.keep()
}

function dateOf(info: ResourceInfo | null): number {
  if (info === null) throw new ContractError('head: found null, expected a version')
  if (!(info.lastModified instanceof Date)) {
    throw new ContractError(`lastModified: found ${toText(info.lastModified)}, expected a Date`)
  }
  return info.lastModified.getTime()
}
