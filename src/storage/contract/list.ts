/** The storage contract: `listIncomplete`, for storages that have it. */

import type { StorageAdapter } from '../adapter.ts'
import {
  ContractError,
  ATOMIC,
  BEGUN,
  FINISHED,
  PERSIST,
  REPLACE,
  begin,
  check,
  equal,
  openPersist,
  store,
  write,
} from './check.ts'
import type { StorageCheck } from './check.ts'

/**
 * Number of resources, more than a service returns in one page that lists a hundred names at a
 * time.
 */
const MANY = 120
const ODD_KEYS = ['a b', 'nested/a', 'nested/deeper/ä 日本', 'x'.repeat(200), '100%', 'a%2Fb']

/** The checks of `listIncomplete`, a part of `storageContract`. */
export const listChecks: readonly StorageCheck[] = [
  // Expiry removes what is listed and old, and a quota counts what is listed. The list must have
  // each incomplete resource once and no finished one, with the key in the form in which the caller
  // has passed it, over all pages of a service. An upload that is missing stays for ever; a
  // finished one in the list may be removed as an abandoned upload.
  check('lists each resource in progress once, under its key', async (storage) => {
    if (storage.listIncomplete === undefined) return
    await expectListed(storage, [], 'an empty storage')
    const keys: string[] = []
    for (const key of ODD_KEYS) {
      // The storage may refuse such a key.
      if (
        await begin(storage, key, 'abc').then(
          () => true,
          () => false,
        )
      )
        keys.push(key)
    }
    const many = Array.from({ length: MANY }, (_, index) => `many-${index}`)
    await Promise.all(many.map((key) => begin(storage, key, 'abc')))
    keys.push(...many)
    await store(storage, 'finished', 'abc')
    await expectListed(storage, keys, 'many resources in progress')
    await Promise.all(keys.map((key) => storage.remove(key)))
    await expectListed(storage, [], 'a storage after all were removed')
  }),

  // An adapter may keep an index of its uploads, and forget to update it when an upload begins,
  // ends, is replaced or is reopened. A server that is killed then leaves an upload that expiry
  // never finds, and its disk fills up.
  check('lists a resource from its first bytes until it is finished', async (storage) => {
    if (storage.listIncomplete === undefined) return
    await (await storage.openWriter('a', PERSIST)).commit(BEGUN)
    await expectListed(storage, ['a'], 'an empty resource in progress')
    for (const position of [0, 3]) {
      const writer = await storage.openWriter('a', PERSIST)
      await write(writer, position, 'abc')
      await expectListed(storage, ['a'], 'a resource that is being written')
      await writer.commit(BEGUN)
      await expectListed(storage, ['a'], 'a resource after an append')
    }
    await (await storage.openWriter('a', PERSIST)).commit(FINISHED)
    await expectListed(storage, [], 'a finished resource')
    await (await storage.openWriter('a', ATOMIC)).commit({ ...BEGUN, everComplete: true })
    await expectListed(storage, ['a'], 'a reopened resource')
    await store(storage, 'a', 'abc')
    await expectListed(storage, [], 'a replaced resource')
    await (await storage.openWriter('a', REPLACE)).commit(BEGUN)
    await expectListed(storage, ['a'], 'a resource that is replaced by one in progress')
    equal(await storage.remove('a'), true, 'remove')
    await expectListed(storage, [], 'a removed resource')
  }),

  // The entry of an index must appear and disappear with the bytes. If it is written before them, a
  // rollback has to remove it. An entry without a resource makes expiry remove a key on which a new
  // upload may have begun meanwhile; a resource without an entry is never removed.
  check('lists what an interrupted write left, and nothing of an undone one', async (storage) => {
    if (storage.listIncomplete === undefined) return
    await store(storage, 'finished', 'abc')
    for (const options of [ATOMIC, REPLACE]) {
      for (const key of ['absent', 'finished']) {
        const writer = await storage.openWriter(key, options)
        await write(writer, 0, 'abc')
        await expectListed(storage, [], `an atomic write of the ${key} resource`)
        await writer.rollback()
        await expectListed(storage, [], `an atomic write of the ${key} resource, taken back`)
      }
    }
    const kept = await openPersist(storage, 'a')
    if (kept === null) return
    await write(kept, 0, 'abc')
    await kept.keep()
    await expectListed(storage, ['a'], 'a write that was kept')
    const back = await storage.openWriter('b', PERSIST)
    await write(back, 0, 'abc')
    await back.rollback()
    await expectListed(storage, ['a'], 'a write that was taken back')
  }),

  // Expiry removes resources while it iterates, and the expiries of two processes may run at the
  // same time. The iteration must not depend on a position in a list that shrinks: it would skip
  // every second upload. Two iterations must not share their position either, because each process
  // would then see a half.
  check(
    'lists all while the listed ones are removed, and for two callers at once',
    async (storage) => {
      if (storage.listIncomplete === undefined) return
      const keys = Array.from({ length: 20 }, (_, index) => `key-${index}`)
      for (const key of keys) await begin(storage, key, 'abc')
      const [first, second] = [iterate(storage), iterate(storage)]
      const found: [string[], string[]] = [[], []]
      // One step of each iteration in turn, so that a shared position would divide the keys between
      // them.
      for (let step = 0; step <= keys.length; step += 1) {
        for (const [index, iterator] of [first, second].entries()) {
          const result = await iterator.next()
          if (result.done !== true) found[index]?.push(result.value)
        }
      }
      equal(found[0].sort(), [...keys].sort(), 'the first of two lists at once')
      equal(found[1].sort(), [...keys].sort(), 'the second of two lists at once')
      const removed: string[] = []
      for await (const key of storage.listIncomplete()) {
        await storage.remove(key)
        removed.push(key)
      }
      equal(removed.sort(), [...keys].sort(), 'the list while its keys are removed')
    },
  ),
]

function iterate(storage: StorageAdapter): AsyncIterator<string> {
  const list = storage.listIncomplete?.()
  if (list === undefined)
    throw new ContractError('listIncomplete: found nothing, expected an iterable')
  return list[Symbol.asyncIterator]()
}

async function expectListed(
  storage: StorageAdapter,
  keys: readonly string[],
  what: string,
): Promise<void> {
  const found: string[] = []
  for await (const key of storage.listIncomplete?.() ?? []) found.push(key)
  equal(found.sort(), [...keys].sort(), `the list of ${what}`)
}
