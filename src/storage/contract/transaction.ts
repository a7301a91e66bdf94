/**
 * The storage contract: which bytes of an atomic write readers see, and what the end of a writer
 * leaves.
 */

import {
  ATOMIC,
  BEGUN,
  FINISHED,
  PERSIST,
  REPLACE,
  begin,
  check,
  equal,
  flush,
  join,
  load,
  loadBytes,
  rejection,
  store,
  write,
} from './check.ts'
import type { StorageCheck } from './check.ts'

/** The checks of atomic writers and of ends, a part of `storageContract`. */
export const transactionChecks: readonly StorageCheck[] = [
  // Error handlers may end a writer twice, for example when the connection breaks during the
  // commit. `keep` and `rollback` of an ended writer must resolve and do nothing; every other
  // method must reject. A rollback after a commit that takes effect would remove a file that was
  // acknowledged.
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

  // GET needs no lock, so that it can fall on any moment of a write. Until `commit` resolves,
  // `head` and readers must show the version before, or nothing if there was none. A storage that
  // writes into the file itself would serve a mixture of two versions, under the etag of the old
  // one.
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

  // `keep` of an atomic writer is a rollback, because a half of an atomic change is not a version.
  // The base must stay as it was, with its etag, and an absent resource must stay absent. Otherwise
  // a broken connection in the middle of a patch would damage a finished file.
  check('keeps nothing of an atomic write', async (storage) => {
    await begin(storage, 'begun', 'abc')
    await store(storage, 'finished', 'abc')
    for (const options of [ATOMIC, REPLACE]) {
      for (const key of ['absent', 'begun', 'finished']) {
        const before = await storage.head(key)
        const writer = await storage.openWriter(key, options)
        await write(writer, 0, 'XYZ')
        await write(writer, 3, 'more')
        await writer.keep()
        equal(await storage.head(key), before, `head of ${key} after keep`)
        equal(await load(storage, key), before && 'abc', `the content of ${key} after keep`)
      }
    }
  }),

  // The lock is released when a writer has ended, and the next request begins. A call that arrives
  // late, from an error handler of the old request, must not change what the next one writes. A
  // storage that names its temporary file after the key, and not after the writer, removes that of
  // the next one here.
  check('lets a writer that has ended touch nothing of the next one', async (storage) => {
    for (const [options, content] of [
      [PERSIST, 'abc'],
      [ATOMIC, 'abc'],
      [PERSIST, ''],
      [ATOMIC, ''],
    ] as const) {
      for (const end of ['commit', 'keep', 'rollback'] as const) {
        const key = `${options.transaction}-${end}-${content.length}`
        if (content !== '') await begin(storage, key, content)
        const ended = await storage.openWriter(key, options)
        await write(ended, content.length, 'def')
        if (end === 'commit') await ended.commit(BEGUN)
        else await ended[end]()
        const size = (await storage.head(key))?.size ?? 0
        const next = await storage.openWriter(key, options)
        await write(next, size, 'next')
        await flush(next)
        const during = await loadBytes(storage, key)
        await ended.rollback()
        await ended.keep()
        await ended.rollback()
        await rejection(write(ended, 0, 'X'), `write after ${end}`)
        await rejection(ended.truncate(size), `truncate after ${end}`)
        await rejection(ended.commit(FINISHED), `commit after ${end}`)
        equal(await loadBytes(storage, key), during, 'the content beside the next writer')
        equal(await join(next.read(size, size + 4)), 'next', 'what the next writer reads')
        const info = await next.commit(BEGUN)
        equal(await storage.head(key), info, 'head after the commit of the next writer')
        equal((await load(storage, key))?.slice(size), 'next', 'the end of the content')
      }
    }
  }),

  // Different resources have different locks, so that their writers run at the same time, and end
  // in different ways. Nothing that belongs to one writer may be shared: not a buffer, not a
  // temporary name, not a list of parts. The bytes of one user would otherwise get into the file of
  // another.
  check('writes several resources at the same time, each on its own', async (storage) => {
    for (const options of [PERSIST, ATOMIC]) {
      const keys = ['one', 'two', 'three', 'four'].map((key) => `${options.transaction} ${key}`)
      await Promise.all(keys.map((key) => begin(storage, key, `begin ${key}`)))
      const writers = await Promise.all(keys.map((key) => storage.openWriter(key, options)))
      // Each writer repeats its own index, in writes of growing length, so that a byte of another
      // writer or at another position shows.
      for (const round of ['1', '22', '333']) {
        await Promise.all(
          writers.map((writer, index) => {
            const start = `begin ${keys[index]}`.length + round.length * (round.length - 1) * 0.5
            return write(writer, start, round.replaceAll(/./g, String(index)))
          }),
        )
      }
      const read = await Promise.all(
        writers.map((writer, index) => join(writer.read(0, `begin ${keys[index]}`.length + 6))),
      )
      const whole = keys.map((key, index) => `begin ${key}${String(index).repeat(6)}`)
      equal(read, whole, 'what the writers read')
      // Each ends in another way, so that the end of one must not be applied to another.
      await writers[0]?.commit(FINISHED)
      await writers[1]?.rollback()
      await writers[2]?.keep()
      await writers[3]?.commit(BEGUN)
      const kept = writers[2]?.transaction === 'persist' ? whole[2] : `begin ${keys[2]}`
      const stored = await Promise.all(keys.map((key) => load(storage, key)))
      equal(stored, [whole[0], `begin ${keys[1]}`, kept, whole[3]], 'the contents')
    }
  }),

  // A storage may append to the file of the upload in place, and hide the new bytes behind the old
  // size until the commit. `rollback` must then remove both the bytes and the note. If the bytes
  // stay, the next append begins at the wrong position.
  check('undoes atomic appends on rollback', async (storage) => {
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
