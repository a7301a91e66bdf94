/** The storage contract: persist writes, whose bytes stay when the request is interrupted. */

import {
  BEGUN,
  PERSIST,
  begin,
  check,
  differ,
  equal,
  flush,
  load,
  loadBytes,
  openPersist,
  rejection,
  write,
} from './check.ts'
import type { StorageCheck } from './check.ts'

/**
 * The checks of persist writers, a part of `storageContract`. A storage that makes all writes
 * atomic passes them without an effect.
 */
export const persistChecks: readonly StorageCheck[] = [
  // The protocol writes a segment while it arrives, and cuts it off if it is refused at its end,
  // for example because of its digest. `truncate` must remove those bytes for readers too. The etag
  // must then be a new one: a client that has read the longer version must not resume with it.
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
  // A persist writer must therefore reject a size below that of its base, and change nothing. Bytes
  // that were lost here would be missing in the finished file.
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

  // A persist writer must reject a write that begins behind the end, and must then accept the next
  // right one. The size of an upload counts as received bytes, which a gap would not be: HEAD would
  // report it as received, and the client would never fill it. A sparse file or a part with a later
  // number makes such a gap without an error.
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

  // `keep` ends the writer of an interrupted request. All bytes whose `write` has resolved must
  // stay, and the resource must stay incomplete, because the client resumes after them. A storage
  // that drops them makes every broken connection lose its progress, and a large upload over a bad
  // network never ends.
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

  // `rollback` must restore the content of the base, because a refused segment must not count as
  // received. The bytes that were seen meanwhile, and others that are later written to the same
  // position, must have different etags: a client could otherwise join the refused bytes with those
  // of a later segment.
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

  // If the refused segment was the first one, the resource must be absent again. An empty resource
  // that stays would answer HEAD with 299, `If-None-Match: *` of the next attempt would fail with
  // 412, and a client could not start the upload again.
  check('removes on rollback what the write has created', async (storage) => {
    const writer = await openPersist(storage, 'a')
    if (writer === null) return
    await write(writer, 0, 'abc')
    await writer.rollback()
    equal(await load(storage, 'a'), null, 'the content')
  }),

  // A write in place over stored bytes can't be undone, so that they stay after `rollback`. The
  // etag must at least be a new one. With the old etag, a cache or a client that resumes would
  // treat these bytes as those from before the write.
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

  // HEAD reports the progress of an upload while its request still runs, perhaps on another server.
  // After `write`, or after `flush` for a storage that has it, readers must see the bytes. If they
  // become visible only at the commit, a client whose connection broke without the server noticing
  // sends everything again.
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

  // `rollback` must restore the size of the base, also after `truncate` and another write. A
  // storage that remembers only its last change would restore the size in between, and count
  // refused bytes as received.
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
]
