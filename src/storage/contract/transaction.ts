/** The storage contract: what is seen of a write, and what is left of one that is not committed. */

import {
  ATOMIC,
  BEGUN,
  PERSIST,
  REPLACE,
  begin,
  check,
  differ,
  equal,
  load,
  loadBytes,
  openPersist,
  rejection,
  store,
  write,
} from './check.ts'
import type { StorageCheck } from './check.ts'

/** The checks of this file. */
export const transactionChecks: readonly StorageCheck[] = [
  check('truncates what a persist write has added', async (storage) => {
    await begin(storage, 'a', 'abc')
    const writer = await openPersist(storage, 'a')
    if (writer === null) return
    await write(writer, 3, 'def')
    const before = await storage.head('a')
    await writer.truncate(4)
    equal(await load(storage, 'a'), 'abcd', 'the content after truncate')
    await write(writer, 4, 'XY')
    differ((await storage.head('a'))?.etag, before?.etag, 'the etag of other bytes')
    await writer.commit(BEGUN)
    equal(await load(storage, 'a'), 'abcdXY', 'the content after commit')
  }),

  check('refuses a persist write beyond the end', async (storage) => {
    await begin(storage, 'a', 'abc')
    const writer = await openPersist(storage, 'a')
    if (writer === null) return
    await rejection(write(writer, 4, 'x'), 'a persist write that leaves a gap')
    await writer.rollback()
    equal(await load(storage, 'a'), 'abc', 'the content')
  }),

  check('keeps what a persist write has added', async (storage) => {
    const first = await openPersist(storage, 'a')
    if (first === null) return
    await write(first, 0, 'abc')
    await first.keep()
    const second = await storage.openWriter('a', PERSIST)
    await write(second, 3, 'def')
    await second.keep()
    equal(await load(storage, 'a'), 'abcdef', 'the content')
    equal((await storage.head('a'))?.complete, false, 'complete')
  }),

  check('takes a persist write back', async (storage) => {
    await begin(storage, 'a', 'abc')
    const writer = await openPersist(storage, 'a')
    if (writer === null) return
    await write(writer, 3, 'def')
    const during = await storage.head('a')
    await writer.rollback()
    equal(await load(storage, 'a'), 'abc', 'the content after rollback')
    const again = await storage.openWriter('a', PERSIST)
    await write(again, 3, 'xyz')
    await again.keep()
    differ((await storage.head('a'))?.etag, during?.etag, 'the etag of other bytes')
    equal(await load(storage, 'a'), 'abcxyz', 'the content of the next write')
  }),

  check('removes on rollback what the write has created', async (storage) => {
    const writer = await openPersist(storage, 'a')
    if (writer === null) return
    await write(writer, 0, 'abc')
    await writer.rollback()
    equal(await load(storage, 'a'), null, 'the content')
  }),

  check('leaves overwritten bytes after rollback, under an etag of their own', async (storage) => {
    await begin(storage, 'a', 'abcdef')
    const before = await storage.head('a')
    const writer = await openPersist(storage, 'a')
    if (writer === null) return
    await write(writer, 1, 'XY')
    equal(await loadBytes(storage, 'a'), 'aXYdef', 'the content after the write')
    await writer.rollback()
    equal(await load(storage, 'a'), 'aXYdef', 'the content after rollback')
    differ((await storage.head('a'))?.etag, before?.etag, 'the etag of other bytes')
  }),

  check('does nothing on a writer that has ended', async (storage) => {
    for (const end of ['commit', 'keep', 'rollback'] as const) {
      await begin(storage, end, 'abc')
      const writer = await storage.openWriter(end, PERSIST)
      await write(writer, 3, 'def')
      if (end === 'commit') await writer.commit(BEGUN)
      else await writer[end]()
      const after = await load(storage, end)
      await writer.keep()
      await writer.rollback()
      await rejection(write(writer, 0, 'X'), `write after ${end}`)
      await rejection(writer.commit(BEGUN), `commit after ${end}`)
      equal(await load(storage, end), after, `the content after ${end}, keep and rollback`)
    }
  }),

  check('shows each persist write once it is done', async (storage) => {
    const writer = await openPersist(storage, 'a')
    if (writer === null) return
    await write(writer, 0, 'ab')
    equal(await load(storage, 'a'), 'ab', 'the content after the first write')
    await write(writer, 2, 'cd')
    equal(await load(storage, 'a'), 'abcd', 'the content after the second write')
    await writer.keep()
  }),

  check('shows nothing of an atomic write before its commit', async (storage) => {
    await begin(storage, 'begun', 'abc')
    await store(storage, 'finished', 'abc')
    for (const [key, options] of [
      ['absent', ATOMIC],
      ['begun', ATOMIC],
      ['finished', ATOMIC],
      ['begun', REPLACE],
      ['finished', REPLACE],
    ] as const) {
      const before = await storage.head(key)
      const writer = await storage.openWriter(key, options)
      equal(writer.transaction, 'atomic', 'the transaction')
      await write(writer, 0, 'XYZ')
      await write(writer, 3, 'more')
      equal(await load(storage, key), before && 'abc', `the content of ${key} during the write`)
      await writer.truncate(1)
      equal(await load(storage, key), before && 'abc', `the content of ${key} after truncate`)
      await writer.rollback()
      equal(await load(storage, key), before && 'abc', `the content of ${key} after rollback`)
      equal(await storage.head(key), before, `head of ${key} after rollback`)
    }
  }),

  check('takes atomic appends back', async (storage) => {
    await begin(storage, 'a', 'abc')
    const before = await storage.head('a')
    const writer = await storage.openWriter('a', ATOMIC)
    await write(writer, 3, 'def')
    await write(writer, 1, 'X')
    equal(await storage.head('a'), before, 'head during the write')
    await writer.rollback()
    equal(await storage.head('a'), before, 'head after rollback')
    equal(await load(storage, 'a'), 'abc', 'the content after rollback')
  }),
]
