/** The storage contract: versions, their state and their names. */

import type { ResourceInfo } from '../adapter.ts'
import {
  ContractError,
  ATOMIC,
  BEGUN,
  FINISHED,
  PERSIST,
  REPLACE,
  begin,
  change,
  check,
  differ,
  equal,
  load,
  stateOf,
  store,
  write,
  expectConflict,
  flush,
} from './check.ts'
import type { StorageCheck } from './check.ts'

const STRONG_TAG = /^"[\x21\x23-\x7e\x80-\xff]*"$/
const CLOCK_SKEW_MS = 60_000

/**
 * The checks of `commit`, of validators and of writers that were overtaken, a part of
 * `storageContract`.
 */
export const commitChecks: readonly StorageCheck[] = [
  // Only `commit` may change the state of an existing resource; `initial` is for a resource that
  // the write creates. A storage that stores `initial` with the first bytes fails here. On a
  // server, an interrupted PATCH could then finish an upload of which half the bytes are missing,
  // and GET would serve it.
  check('keeps the state when a write is kept or undone', async (storage) => {
    const state = { ...BEGUN, completeLength: 9, contentType: 'text/plain' }
    const creating = await storage.openWriter('a', ATOMIC)
    await write(creating, 0, 'abc')
    await creating.commit(state)
    for (const end of ['keep', 'rollback'] as const) {
      const writer = await storage.openWriter('a', { ...PERSIST, initial: FINISHED })
      await write(writer, 3, 'def')
      await writer[end]()
      equal(stateOf(await storage.head('a')), state, `the state after ${end}`)
    }
  }),

  // The protocol answers a request with the info from `commit`, and the next client gets the one
  // from `head`. Both must be equal to the last member. If the etag differed, a client that resumes
  // with `If-Match` from the first answer would be refused with 412, although nobody has changed
  // the resource.
  check('returns from commit what head returns', async (storage) => {
    for (const options of [PERSIST, ATOMIC, REPLACE]) {
      for (const state of [BEGUN, FINISHED]) {
        const writer = await storage.openWriter('a', options)
        await write(writer, 0, 'abc')
        equal(await writer.commit(state), await storage.head('a'), 'what commit returns')
      }
    }
  }),

  // A persist write changes bytes in place, so that an interrupted one leaves a mixture of old and
  // new bytes. In an upload in progress the client resumes from there. A finished resource, or one
  // that is being replaced, has readers that expect one version, so that the writer must be atomic,
  // and must say so in `transaction`. The protocol decides by this property what an interrupted
  // request has left.
  check('honours persist only for a resource in progress', async (storage) => {
    await begin(storage, 'begun', 'abc')
    await store(storage, 'finished', 'abc')
    const atomic = [
      await storage.openWriter('begun', ATOMIC),
      await storage.openWriter('begun', { ...REPLACE, transaction: 'persist' }),
      await storage.openWriter('finished', PERSIST),
    ]
    for (const writer of atomic) {
      equal(writer.transaction, 'atomic', 'the transaction')
      await writer.rollback()
    }
  }),

  // Each commit that changes bytes or state must make a new etag, in quotes and without `W/`. No
  // earlier version of the key may have had it, not even one from before a removal, so that a
  // counter per resource or a hash of size and time is not enough. A client resumes with
  // `If-Match`, and a cache combines ranges of one etag: if two versions had the same, both would
  // join bytes of different versions, and nobody would notice.
  check('gives each version a strong etag that no other has', async (storage) => {
    const seen = new Map<string, string>()
    const observe = async (what: string): Promise<void> => {
      const etag = (await storage.head('a'))?.etag ?? ''
      if (!STRONG_TAG.test(etag))
        throw new ContractError(`the etag of the ${what}: found ${etag}, expected a strong one`)
      const other = seen.get(etag)
      if (other !== undefined)
        throw new ContractError(
          `the etag of the ${what}: found that of the ${other}, expected another`,
        )
      seen.set(etag, what)
    }
    // Each step changes one thing. The second round repeats the first after a removal, with the
    // same bytes and states, so that a tag that is made from them would come again.
    for (const round of ['first', 'second']) {
      await change(storage, PERSIST, 0, 'abc', BEGUN)
      await observe(`${round} beginning`)
      await change(storage, PERSIST, 3, 'def', BEGUN)
      await observe(`${round} append`)
      await change(storage, PERSIST, 1, 'X', BEGUN)
      await observe(`${round} overwrite`)
      await change(storage, ATOMIC, 1, 'Y', BEGUN)
      await observe(`${round} atomic overwrite`)
      await change(storage, PERSIST, 6, '', { ...BEGUN, contentType: 'text/plain' })
      await observe(`${round} type`)
      await change(storage, PERSIST, 6, '', { ...BEGUN, completeLength: 6 })
      await observe(`${round} length`)
      await change(storage, PERSIST, 6, '', FINISHED)
      await observe(`${round} completion`)
      await change(storage, ATOMIC, 0, 'Z', FINISHED)
      await observe(`${round} patch`)
      await change(storage, REPLACE, 0, 'abc', FINISHED)
      await observe(`${round} replacement`)
      await change(storage, ATOMIC, 0, '', { ...BEGUN, everComplete: true })
      await observe(`${round} reopening`)
      await storage.remove('a')
    }
  }),

  // A writer that is opened and ended without a commit must leave the etag as it is. The protocol
  // opens a writer before it knows whether the preconditions hold. If that alone made a new etag,
  // each refused request would make the `If-Match` of all other clients fail.
  check('keeps the etag of a version that is not changed', async (storage) => {
    await begin(storage, 'a', 'abc')
    const before = await storage.head('a')
    for (const options of [PERSIST, ATOMIC, REPLACE]) {
      const writer = await storage.openWriter('a', options)
      await writer.rollback()
    }
    equal(await storage.head('a'), before, 'head')
  }),

  // `lastModified` must be the time of the commit in milliseconds, and must not go back from one
  // version to the next. Expiry compares it with the clock of the server: a time in other units or
  // of another zone removes uploads that are in progress, or none ever. The check allows a minute
  // of difference, because the storage may have a clock of its own.
  check('reports when a version was made', async (storage) => {
    await begin(storage, 'a', 'abc')
    const begun = dateOf(await storage.head('a'))
    if (Math.abs(Date.now() - begun) > CLOCK_SKEW_MS)
      throw new ContractError(`lastModified: found ${begun}, expected about ${Date.now()}`)
    await change(storage, PERSIST, 3, 'def', FINISHED)
    if (dateOf(await storage.head('a')) < begun)
      throw new ContractError(
        'lastModified of an append: found an earlier time, expected a later one',
      )
  }),

  // After a lock was lost, two writers may be open at the same time. `commit` must compare the
  // current version with `base` in one step with its change, and reject with `ERR_CONFLICT` if they
  // differ. Without it, the second commit replaces the version of the first one, whose client has
  // got the answer that its file is stored.
  check('refuses a commit whose base is no longer current', async (storage) => {
    for (const options of [PERSIST, ATOMIC, REPLACE]) {
      for (const fill of [begin, store, null]) {
        for (const late of [BEGUN, FINISHED]) {
          await storage.remove('a')
          await fill?.(storage, 'a', 'abc')
          const stale = await storage.openWriter('a', options)
          await change(storage, REPLACE, 0, 'new', FINISHED)
          // The storage may refuse the write already, which satisfies the check as well.
          await write(stale, stale.base?.size ?? 0, 'late').catch(() => {})
          await expectConflict(stale.commit(late), 'the commit of a stale writer')
          await stale.rollback()
          equal(await load(storage, 'a'), 'new', 'the content')
        }
      }
    }
  }),

  // Another writer may have changed the resource since this one was opened. `rollback` and `keep`
  // must then leave the resource alone. A storage that cuts the file to the old size on rollback
  // would remove bytes that were acknowledged to the client of the other writer.
  check('lets a stale writer undo nothing', async (storage) => {
    for (const options of [PERSIST, ATOMIC]) {
      for (const end of ['keep', 'rollback'] as const) {
        await storage.remove('a')
        await begin(storage, 'a', 'abc')
        const stale = await storage.openWriter('a', options)
        await write(stale, 3, 'late')
        // An adapter may flush by a timer of its own, which would be a change between the next two
        // calls.
        await flush(stale)
        const base = (await storage.head('a'))?.size ?? 0
        await change(storage, PERSIST, base, 'new', BEGUN)
        const before = await load(storage, 'a')
        await expectConflict(stale.commit(BEGUN), 'the commit of a stale writer')
        await stale[end]()
        equal(await load(storage, 'a'), before, `the content after ${end}`)
      }
    }
  }),

  // A DELETE may come while a writer is open whose lock was lost. Its commit must reject with
  // `ERR_CONFLICT`, and must not create the resource again: the client of the DELETE has got the
  // answer that the file is gone, and its owner may rely on that.
  check('refuses the commit of a writer whose resource was removed', async (storage) => {
    for (const options of [PERSIST, ATOMIC]) {
      await begin(storage, 'a', 'abc')
      const stale = await storage.openWriter('a', options)
      await write(stale, 3, 'def')
      // An adapter may flush by a timer of its own, which would be a change during the removal.
      await flush(stale)
      equal(await storage.remove('a'), true, 'remove')
      await expectConflict(stale.commit(FINISHED), 'the commit of a stale writer')
      await stale.rollback()
      equal(await load(storage, 'a'), null, 'the content')
    }
  }),

  // The protocol ends each writer, even after an error. `keep` and `rollback` must therefore
  // resolve after a refused commit, and release what the writer holds. An error from them would
  // hide the one that the client has to see, and a lock or a file that stays open would block the
  // next request, as this check finds out with a write of its own.
  check('can end a writer whose commit was refused', async (storage) => {
    await begin(storage, 'a', 'abc')
    const stale = await storage.openWriter('a', ATOMIC)
    await change(storage, ATOMIC, 0, 'X', BEGUN)
    await expectConflict(stale.commit(FINISHED), 'the commit of a stale writer')
    await stale.keep()
    await change(storage, PERSIST, 3, 'def', FINISHED)
    equal(await load(storage, 'a'), 'Xbcdef', 'the content')
  }),

  // An adapter may share a buffer or a temporary name between two writers by mistake, which shows
  // only when both write at the same time. On a server with many clients, the bytes of one user
  // would then appear in the file of another.
  check('stores fifty resources at the same time', async (storage) => {
    const keys = Array.from({ length: 50 }, (_, index) => `parallel-${index}`)
    await Promise.all(
      keys.map(async (key) => {
        await begin(storage, key, `begin ${key}`)
        const writer = await storage.openWriter(key, PERSIST)
        await write(writer, `begin ${key}`.length, ', end')
        await writer.commit(FINISHED)
      }),
    )
    const stored = await Promise.all(keys.map((key) => load(storage, key)))
    const expected = keys.map((key) => `begin ${key}, end`)
    equal(stored, expected, 'the contents')
    differ(stored[0], stored[1], 'the content')
  }),
]

function dateOf(info: ResourceInfo | null): number {
  return info?.lastModified.getTime() ?? NaN
}
