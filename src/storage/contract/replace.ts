/** The storage contract: replacing, reopening and truncating a resource. */

import {
  ATOMIC,
  BEGUN,
  FINISHED,
  PERSIST,
  REPLACE,
  begin,
  check,
  equal,
  join,
  load,
  rejection,
  store,
  write,
} from './check.ts'
import type { StorageCheck } from './check.ts'

/** The checks of replacing, reopening and truncating, a part of `storageContract`. */
export const replaceChecks: readonly StorageCheck[] = [
  // With `replace` the writer begins empty, and `base` is still the version that it replaces,
  // because preconditions are checked against it. The old version must stay readable until the
  // commit, whether it was finished or not. A PUT that is interrupted after a storage has removed
  // the old file leaves the users with nothing.
  check('replaces a resource', async (storage) => {
    await begin(storage, 'begun', 'abcdef')
    await store(storage, 'finished', 'abcdef')
    for (const key of ['begun', 'finished', 'absent']) {
      const before = await storage.head(key)
      const writer = await storage.openWriter(key, { ...REPLACE, transaction: 'persist' })
      equal(writer.base, before, `the base for ${key}`)
      if (before !== null) equal(writer.transaction, 'atomic', `how ${key} is replaced`)
      await write(writer, 0, 'xy')
      await writer.commit(FINISHED)
      equal(await load(storage, key), 'xy', `the content of ${key}`)
    }
  }),

  // A replacement may itself be uploaded in several requests, and be replaced again before it is
  // finished. The storage must accept an incomplete version in place of a finished one, without
  // bytes of the version before. Otherwise a client could not send a large new version in segments.
  check('replaces a finished resource by an incomplete one, and that again', async (storage) => {
    await store(storage, 'a', 'abcdef')
    const first = await storage.openWriter('a', REPLACE)
    await write(first, 0, 'xy')
    await first.commit({ ...BEGUN, everComplete: true })
    equal(await load(storage, 'a'), 'xy', 'the content of the incomplete resource')
    const second = await storage.openWriter('a', REPLACE)
    await second.commit(BEGUN)
    equal(await load(storage, 'a'), '', 'the content of the empty resource')
  }),

  // A patch may declare a finished resource to be longer, which makes it incomplete again. The
  // bytes stay, only `complete` changes, and later persist writes append. `everComplete` must stay
  // true, because expiry must not remove a file that a user has had before as an abandoned upload.
  check('reopens a finished resource', async (storage) => {
    await store(storage, 'a', 'abc')
    const reopening = await storage.openWriter('a', PERSIST)
    equal(reopening.transaction, 'atomic', 'the transaction on a finished resource')
    await reopening.commit({ ...BEGUN, everComplete: true, completeLength: 6 })
    const info = await storage.head('a')
    equal([info?.complete, info?.everComplete, info?.size], [false, true, 3], 'the reopened one')
    const writer = await storage.openWriter('a', PERSIST)
    await write(writer, 3, 'def')
    await writer.commit(FINISHED)
    equal(await load(storage, 'a'), 'abcdef', 'the content')
  }),

  // A replacement begins empty, so that a gap before the first byte is zeros and not bytes of the
  // old version. If old bytes came through, the new file would contain a part of one that the user
  // has meant to replace, which may have been secret.
  check('reads nothing of the base through a writer that replaces it', async (storage) => {
    await store(storage, 'a', 'abcdef')
    const writer = await storage.openWriter('a', REPLACE)
    equal(await join(writer.read(0, 0)), '', 'what is read before the first write')
    await write(writer, 2, 'xy')
    equal(await join(writer.read(0, 4)), '\0\0xy', 'what is read after a write behind a gap')
    await writer.commit(FINISHED)
    equal(await load(storage, 'a'), '\0\0xy', 'the content')
  }),

  // `truncate` must reject a size beyond the end, and change nothing. `ftruncate` of a file system
  // makes the file longer instead. The size of an upload counts as received bytes, so that the
  // client would never send the bytes of the hole, and the file would have zeros there.
  check('refuses to truncate beyond the end', async (storage) => {
    await begin(storage, 'a', 'abc')
    await store(storage, 'b', 'abc')
    for (const [key, options] of [
      ['a', PERSIST],
      ['a', ATOMIC],
      ['b', ATOMIC],
    ] as const) {
      const writer = await storage.openWriter(key, options)
      await rejection(writer.truncate(4), `truncate of 3 bytes to 4, ${options.transaction}`)
      await write(writer, 3, 'de')
      await rejection(writer.truncate(6), `truncate of 5 bytes to 6, ${options.transaction}`)
      equal(await join(writer.read(0, 5)), 'abcde', 'what the writer reads')
      await writer.rollback()
      equal(await load(storage, key), 'abc', 'the content')
    }
  }),

  // An atomic writer may be cut to any size from zero to the current one, again and again, with
  // writes in between. The writer must read what is left, `commit` must return the new size, and
  // the bytes behind it must be gone: a client that makes a file shorter would otherwise find the
  // old end in it.
  check('truncates', async (storage) => {
    await store(storage, 'a', 'abcdef')
    const writer = await storage.openWriter('a', ATOMIC)
    await writer.truncate(4)
    equal(await join(writer.read(0, 4)), 'abcd', 'what the writer reads')
    await writer.truncate(4)
    await writer.truncate(0)
    await write(writer, 0, 'x')
    await writer.commit(FINISHED)
    equal(await load(storage, 'a'), 'x', 'the content')
    for (const [key, fill] of Object.entries({ begun: begin, finished: store })) {
      for (const size of [5, 4, 1, 0]) {
        await fill(storage, key, 'abcdef')
        const cutting = await storage.openWriter(key, ATOMIC)
        await cutting.truncate(size)
        equal((await cutting.commit(FINISHED)).size, size, 'the size that commit returns')
        equal(await load(storage, key), 'abcdef'.slice(0, size), `the content of ${size} bytes`)
        await storage.remove(key)
      }
    }
  }),

  // A write behind the end of a truncated resource leaves a gap, whose bytes must read as zeros.
  // The file or the buffer may still contain the bytes that were cut off. Serving them would
  // publish what a client has taken back.
  check('reads zeros where an atomic write has cut before', async (storage) => {
    await begin(storage, 'a', 'abcdef')
    const writer = await storage.openWriter('a', ATOMIC)
    await write(writer, 6, 'secret')
    await writer.truncate(7)
    await write(writer, 9, 'x')
    await writer.truncate(2)
    await write(writer, 4, 'y')
    await writer.commit(FINISHED)
    equal(await load(storage, 'a'), 'ab\0\0y', 'the content')
  }),
]
