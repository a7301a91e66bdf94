/**
 * The storage contract: which bytes of a write readers see, and which ones stay if it is not
 * committed.
 */

import {
  ATOMIC,
  BEGUN,
  FINISHED,
  PERSIST,
  REPLACE,
  begin,
  check,
  differ,
  equal,
  join,
  load,
  loadBytes,
  openPersist,
  rejection,
  store,
  write,
  flush,
} from './check.ts'
import type { StorageCheck } from './check.ts'

/** The checks of what a write shows and leaves, a part of `storageContract`. */
export const transactionChecks: readonly StorageCheck[] = [
  // The bytes of a segment that is refused at its end, for example because of its digest, are cut
  // off.
  check('truncates what a persist write has added', async (storage) => {
    await begin(storage, 'a', 'abc')
    const writer = await openPersist(storage, 'a')
    if (writer === null) return
    await write(writer, 3, 'def')
    await flush(writer)
    const before = await storage.head('a')
    await writer.truncate(4)
    equal(await load(storage, 'a'), 'abcd', 'the content after truncate')
    await write(writer, 4, 'XY')
    differ((await storage.head('a'))?.etag, before?.etag, 'the etag of other bytes')
    await writer.commit(BEGUN)
    equal(await load(storage, 'a'), 'abcdXY', 'the content after commit')
  }),

  // The server has acknowledged the bytes of the base to a client, which does not send them again.
  check('refuses to truncate what a persist write has not added', async (storage) => {
    await begin(storage, 'a', 'abc')
    const writer = await openPersist(storage, 'a')
    if (writer === null) return
    for (const size of [0, 2]) {
      await rejection(
        writer.truncate(size),
        `truncate to ${size} bytes, of which 3 were stored before`,
      )
    }
    equal(await load(storage, 'a'), 'abc', 'the content after a refused truncate')
    await write(writer, 3, 'def')
    await flush(writer)
    await rejection(writer.truncate(2), 'truncate after an append')
    equal(await load(storage, 'a'), 'abcdef', 'the content after an append')
    await writer.truncate(3)
    equal(await load(storage, 'a'), 'abc', 'the content after truncate to the size before')
    await writer.commit(BEGUN)
    equal(await load(storage, 'a'), 'abc', 'the content after commit')
  }),

  // The size of an upload counts as received bytes, which a gap would not be.
  check('refuses a persist write beyond the end, and can resume', async (storage) => {
    for (const end of ['commit', 'keep', 'rollback'] as const) {
      await begin(storage, end, 'abc')
      const writer = await openPersist(storage, end)
      if (writer === null) return
      await rejection(write(writer, 4, 'x'), 'a write to position 4 of 3 bytes')
      equal(await load(storage, end), 'abc', 'the content after a refused write')
      await write(writer, 3, 'de')
      await rejection(write(writer, 6, 'x'), 'a write to position 6 of 5 bytes')
      await flush(writer)
      equal(await load(storage, end), 'abcde', 'the content after a second refused write')
      if (end === 'commit') await writer.commit(BEGUN)
      else await writer[end]()
      equal(await load(storage, end), end === 'rollback' ? 'abc' : 'abcde', `content after ${end}`)
    }
    const creating = await openPersist(storage, 'absent')
    if (creating === null) return
    await rejection(write(creating, 1, 'x'), 'a write to position 1 of an absent resource')
    await creating.keep()
    equal(await load(storage, 'absent'), null, 'the content of an absent resource')
  }),

  // The client of an interrupted upload resumes after these bytes.
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

  // A refused segment must not count as received.
  check('undoes a persist write on rollback', async (storage) => {
    await begin(storage, 'a', 'abc')
    const writer = await openPersist(storage, 'a')
    if (writer === null) return
    await write(writer, 3, 'def')
    await flush(writer)
    const during = await storage.head('a')
    await writer.rollback()
    equal(await load(storage, 'a'), 'abc', 'the content after rollback')
    const again = await storage.openWriter('a', PERSIST)
    await write(again, 3, 'xyz')
    await again.keep()
    differ((await storage.head('a'))?.etag, during?.etag, 'the etag of other bytes')
    equal(await load(storage, 'a'), 'abcxyz', 'the content of the next write')
  }),

  // A refused first segment must not leave an empty resource.
  check('removes on rollback what the write has created', async (storage) => {
    const writer = await openPersist(storage, 'a')
    if (writer === null) return
    await write(writer, 0, 'abc')
    await writer.rollback()
    equal(await load(storage, 'a'), null, 'the content')
  }),

  // A write in place can't be undone. The etag must at least show that the bytes are other ones.
  check('leaves overwritten bytes after rollback, under an etag of their own', async (storage) => {
    await begin(storage, 'a', 'abcdef')
    const before = await storage.head('a')
    const writer = await openPersist(storage, 'a')
    if (writer === null) return
    await write(writer, 1, 'XY')
    await flush(writer)
    equal(await loadBytes(storage, 'a'), 'aXYdef', 'the content after the write')
    await writer.rollback()
    equal(await load(storage, 'a'), 'aXYdef', 'the content after rollback')
    differ((await storage.head('a'))?.etag, before?.etag, 'the etag of other bytes')
  }),

  // Error handlers may end a writer twice.
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

  // HEAD reports the progress of an upload while its request still runs.
  check('shows each persist write once it is done', async (storage) => {
    const writer = await openPersist(storage, 'a')
    if (writer === null) return
    await write(writer, 0, 'ab')
    await flush(writer)
    equal(await load(storage, 'a'), 'ab', 'the content after the first write')
    await write(writer, 2, 'cd')
    await flush(writer)
    equal(await load(storage, 'a'), 'abcd', 'the content after the second write')
    await writer.keep()
  }),

  // A reader that sees a part of an atomic write has a mixture of two versions.
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

  // An interrupted atomic write must leave the base as it was.
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

  // A late call of an old request must not change what the next request writes.
  check('lets a writer that has ended touch nothing of the next one', async (storage) => {
    for (const options of [PERSIST, ATOMIC]) {
      for (const end of ['commit', 'keep', 'rollback'] as const) {
        const key = `${options.transaction} ${end}`
        await begin(storage, key, 'abc')
        const ended = await storage.openWriter(key, options)
        await write(ended, 3, 'def')
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

  check('undoes a truncated persist write on rollback', async (storage) => {
    await begin(storage, 'a', 'abc')
    const writer = await openPersist(storage, 'a')
    if (writer === null) return
    await write(writer, 3, 'defghi')
    await writer.truncate(5)
    await write(writer, 5, 'X')
    await writer.rollback()
    equal((await storage.head('a'))?.size, 3, 'the size after rollback')
    equal(await load(storage, 'a'), 'abc', 'the content after rollback')
  }),

  // Different resources have different locks, so that their writers run at the same time.
  check('writes several resources at the same time, each on its own', async (storage) => {
    for (const options of [PERSIST, ATOMIC]) {
      const keys = ['one', 'two', 'three', 'four'].map((key) => `${options.transaction} ${key}`)
      await Promise.all(keys.map((key) => begin(storage, key, `begin ${key}`)))
      const writers = await Promise.all(keys.map((key) => storage.openWriter(key, options)))
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
      await writers[0]?.commit(FINISHED)
      await writers[1]?.rollback()
      await writers[2]?.keep()
      await writers[3]?.commit(BEGUN)
      const kept = writers[2]?.transaction === 'persist' ? whole[2] : `begin ${keys[2]}`
      const stored = await Promise.all(keys.map((key) => load(storage, key)))
      equal(stored, [whole[0], `begin ${keys[1]}`, kept, whole[3]], 'the contents')
    }
  }),

  // A storage may append to its file in place, after it has stored the old size. The rollback
  // removes both.
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
