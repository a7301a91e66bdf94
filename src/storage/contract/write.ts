/** The storage contract: what `write`, `truncate` and `read` do. */

import {
  ATOMIC,
  BEGUN,
  FINISHED,
  PERSIST,
  REPLACE,
  begin,
  bytes,
  check,
  equal,
  join,
  load,
  store,
  write,
  flush,
} from './check.ts'
import type { StorageCheck } from './check.ts'

/** The checks of `write`, `truncate` and `read` of a writer, a part of `storageContract`. */
export const writeChecks: readonly StorageCheck[] = [
  // `head` and `openReader` must return null for an absent resource, and `remove` false. The
  // protocol makes the 404 itself. An error that the service or the file system raises, such as
  // `ENOENT` or `NoSuchKey`, would be answered with 500.
  check('returns null or false for an absent resource', async (storage) => {
    equal(await storage.head('a'), null, 'head')
    equal(await storage.openReader('a'), null, 'openReader')
    equal(await storage.remove('a'), false, 'remove')
  }),

  // The protocol opens a writer before it checks the preconditions, which may refuse the request.
  // Opening and ending a writer must leave an absent resource absent. Otherwise each refused
  // request leaves an empty upload, which a second client then finds in its way.
  check('creates nothing by opening a writer', async (storage) => {
    for (const options of [PERSIST, ATOMIC, REPLACE]) {
      const writer = await storage.openWriter('a', options)
      equal(writer.base, null, 'base')
      equal(await load(storage, 'a'), null, 'the content beside an open writer')
      await writer.keep()
      equal(await load(storage, 'a'), null, 'the content after keep')
    }
  }),

  // The server may be killed before the commit, and the client then resumes after the bytes that
  // HEAD reports. The first persist write must therefore create the resource with `initial`, the
  // declared length and the type among it. If it appears only at the commit, everything that was
  // sent before the crash is lost.
  check('creates a resource with the first persist write', async (storage) => {
    const initial = { ...BEGUN, completeLength: 6, contentType: 'text/plain' }
    const writer = await storage.openWriter('a', { ...PERSIST, initial })
    await write(writer, 0, 'abc')
    await flush(writer)
    if (writer.transaction === 'persist') {
      const info = await storage.head('a')
      equal(info?.size, 3, 'the size after the first write')
      equal([info?.completeLength, info?.contentType], [6, 'text/plain'], 'the initial state')
      equal(await load(storage, 'a'), 'abc', 'the content after the first write')
    }
    await writer.commit(initial)
    equal(await load(storage, 'a'), 'abc', 'the content after commit')
  }),

  // Users upload empty files too, for which no write is made, and a first request may only declare
  // the length. `commit` alone must create the resource, and a second one must finish it. A storage
  // that creates its file with the first write fails, or has a state without a file.
  check('creates an empty resource by commit alone', async (storage) => {
    for (const [key, options] of Object.entries({ a: PERSIST, b: ATOMIC, c: REPLACE })) {
      const begun = await (await storage.openWriter(key, options)).commit(BEGUN)
      equal([begun.size, begun.complete], [0, false], 'an empty incomplete resource')
      equal(await load(storage, key), '', 'the content of an empty incomplete resource')
      const finished = await (await storage.openWriter(key, options)).commit(FINISHED)
      equal([finished.size, finished.complete], [0, true], 'an empty finished resource')
      equal(await load(storage, key), '', 'the content of an empty finished resource')
    }
  }),

  // A single byte is the smallest content: an error by one in a size or a range is the whole
  // content here.
  check('stores a single byte', async (storage) => {
    await store(storage, 'a', 'x')
    equal(await load(storage, 'a'), 'x', 'the content')
  }),

  // An upload in segments has a new writer for each segment, which continues where the one before
  // has ended. The bytes must follow each other without a gap, in both transactions, because the
  // protocol passes positions that it has from `base.size`.
  check('appends', async (storage) => {
    for (const options of [PERSIST, ATOMIC]) {
      await begin(storage, options.transaction, 'abc')
      const writer = await storage.openWriter(options.transaction, options)
      await write(writer, 3, 'de')
      await write(writer, 5, 'f')
      await writer.commit(BEGUN)
      equal(await load(storage, options.transaction), 'abcdef', `${options.transaction} content`)
    }
  }),

  // A finished resource grows only by an atomic write. The result must begin with all bytes of the
  // base, also in a storage that copies only what was written, and the new bytes must not be
  // visible before the commit.
  check('appends to a finished resource', async (storage) => {
    await store(storage, 'a', 'abc')
    const writer = await storage.openWriter('a', ATOMIC)
    await write(writer, 3, 'def')
    await writer.commit(FINISHED)
    equal(await load(storage, 'a'), 'abcdef', 'the content')
  }),

  // A client that did not get the last answer repeats a segment whose beginning is stored already.
  // One write may therefore cover stored bytes and go beyond the end. A storage that treats each
  // write as an append would store the repeated bytes twice.
  check('writes over bytes and beyond the end at once', async (storage) => {
    for (const options of [PERSIST, ATOMIC]) {
      await begin(storage, options.transaction, 'abcd')
      const writer = await storage.openWriter(options.transaction, options)
      await write(writer, 2, 'XYZ')
      await write(writer, 0, 'W')
      await writer.commit(BEGUN)
      equal(await load(storage, options.transaction), 'WbXYZ', `${options.transaction} content`)
    }
  }),

  // The protocol passes on the chunks as they come from the network: one, thousands, or empty ones.
  // All must be stored in their order. A system call takes a limited number of buffers (1024 on
  // Linux) and may write fewer bytes than it was given, so that a writer has to continue until all
  // are written. Otherwise the file has a hole that nobody reports.
  check('writes all chunks, empty ones among them', async (storage) => {
    for (const options of [PERSIST, ATOMIC]) {
      const writer = await storage.openWriter(options.transaction, options)
      await writer.write(0, ['', 'ab', '', 'c', ''].map(bytes))
      await writer.write(3, [])
      await writer.write(3, [bytes('')])
      // More chunks than one system call takes.
      await writer.write(
        3,
        Array.from({ length: 3000 }, () => bytes('de')),
      )
      await writer.commit(FINISHED)
      const text = `abc${'de'.repeat(3000)}`
      equal(await load(storage, options.transaction), text, `${options.transaction} content`)
    }
  }),

  // The caller may reuse the memory of a chunk as soon as `write` has resolved. A storage that
  // keeps the bytes, for example to collect a part, has to copy them. Otherwise the stored file
  // contains bytes that came later, perhaps from another request.
  check('does not keep the chunks that it is lent', async (storage) => {
    for (const options of [PERSIST, ATOMIC, REPLACE]) {
      const writer = await storage.openWriter('a', options)
      const chunk = bytes('abc')
      await writer.write(0, [chunk])
      chunk.fill(0)
      await writer.commit(FINISHED)
      equal(await load(storage, 'a'), 'abc', 'the content')
      await storage.remove('a')
    }
  }),

  // Node allocates small buffers as parts of a larger one, so that a chunk begins at some offset in
  // its `ArrayBuffer`. A storage that passes `chunk.buffer` on stores its neighbours, which may be
  // bytes of another request. It must not change the chunks or the list either, because the
  // protocol computes their digest after the write.
  check(
    'writes chunks that are parts of larger arrays, and leaves them as they are',
    async (storage) => {
      for (const options of [PERSIST, ATOMIC, REPLACE]) {
        const whole = bytes('0123456789')
        const chunks = [whole.subarray(3, 5), whole.subarray(0, 1), whole.subarray(9)]
        const writer = await storage.openWriter('a', options)
        await writer.write(0, chunks)
        chunks.length = 0
        await writer.write(4, [whole.subarray(5, 7)])
        equal(new TextDecoder().decode(whole), '0123456789', 'the array of the chunks')
        whole.fill(0)
        equal(await join(writer.read(0, 6)), '340956', 'what the writer reads')
        await writer.commit(FINISHED)
        equal(await load(storage, 'a'), '340956', 'the content')
        await storage.remove('a')
      }
    },
  ),

  // A write without bytes must neither create a resource nor make a new version. A request without
  // content would otherwise create an upload that nobody has asked for, or make the `If-Match` of
  // another client fail.
  check('changes nothing by a write of no bytes', async (storage) => {
    for (const [index, options] of [PERSIST, ATOMIC, REPLACE].entries()) {
      const key = `absent-${index}`
      const creating = await storage.openWriter(key, options)
      await creating.write(0, [])
      await creating.write(0, [bytes(''), bytes('')])
      equal(await storage.head(key), null, 'head after an empty write to an absent resource')
      await creating.keep()
      equal(await storage.head(key), null, 'head after keep')
    }
    await begin(storage, 'a', 'abc')
    for (const options of [PERSIST, ATOMIC]) {
      const before = await storage.head('a')
      const writer = await storage.openWriter('a', options)
      for (const position of [0, 2, 3]) await writer.write(position, [])
      equal(await storage.head('a'), before, 'head after empty writes')
      equal(await join(writer.read(0, 3)), 'abc', 'what the writer reads')
      equal((await writer.commit(BEGUN)).size, 3, 'the size after commit')
      equal(await load(storage, 'a'), 'abc', 'the content')
    }
  }),

  // A multipart patch may contain its ranges in any order, and they may overlap: the later one
  // wins. The writer must also read what it has written so far. A storage that sorts or merges
  // writes by their position, or that flushes them in another order, returns bytes of the earlier
  // range.
  check('writes backwards, forwards and over what it has just written', async (storage) => {
    for (const options of [PERSIST, ATOMIC]) {
      const key = options.transaction
      await begin(storage, key, 'abcdefgh')
      const writer = await storage.openWriter(key, options)
      const expected = bytes('abcdefgh--------')
      let size = 8
      for (const [position, text] of [
        [6, 'UVWXY'],
        [2, 'JKL'],
        [3, 'M'],
        [11, 'Z'],
        [0, 'A'],
        [10, '123'],
      ] as const) {
        await write(writer, position, text)
        expected.set(bytes(text), position)
        size = Math.max(size, position + text.length)
        const so = new TextDecoder().decode(expected.subarray(0, size))
        equal(await join(writer.read(0, size)), so, `what the ${key} writer reads`)
      }
      await writer.commit(BEGUN)
      equal(await load(storage, key), 'AbJMLfUVWX123', `${key} content`)
    }
  }),

  // A slow network delivers a large file in many small writes. The storage must keep them in order
  // while it collects them into parts, and must not hold the whole file in memory or copy it again
  // for each write, which would make large uploads slower with each byte.
  check('stores megabytes in many writes', async (storage) => {
    const writer = await storage.openWriter('a', PERSIST)
    const chunk = bytes('0123456789abcdef'.repeat(4096))
    for (let count = 0; count < 64; count += 1) await writer.write(count * chunk.length, [chunk])
    const info = await writer.commit(FINISHED)
    equal(info.size, 64 * chunk.length, 'the size')
    equal((await load(storage, 'a'))?.length, info.size, 'the length of the content')
  }),

  // A multipart patch of several ranges may begin with a later one, so that a gap exists until the
  // earlier one is written. The bytes of a gap must be zeros. The storage may reuse memory or disk
  // blocks that contain bytes of another user, which a GET would publish.
  check('reads zeros in the gap of an atomic write', async (storage) => {
    // Leaves bytes in memory and in blocks that the storage may use again.
    await store(storage, 'other', 'secret'.repeat(1000))
    await storage.remove('other')
    await store(storage, 'finished', 'abc')
    await begin(storage, 'begun', 'abc')
    for (const key of ['finished', 'begun', 'absent']) {
      const writer = await storage.openWriter(key, ATOMIC)
      const start = writer.base === null ? '' : 'abc'
      await write(writer, 3000, 'end')
      const expected = `${start.padEnd(3000, '\0')}end`
      equal(await join(writer.read(0, 3003)), expected, `what the writer of ${key} reads`)
      await writer.commit(FINISHED)
      equal(await load(storage, key), expected, `the content of ${key}`)
    }
  }),

  // The protocol computes the digest of the whole content through the writer before the commit, and
  // refuses the upload if it is wrong. `read` must therefore return what a reader would get after
  // the commit: new bytes where the writer has written, bytes of the base elsewhere. If it reads
  // only the base, a wrong file passes the check.
  check('reads as the write has left it so far', async (storage) => {
    await begin(storage, 'a', 'abcdef')
    for (const options of [ATOMIC, PERSIST]) {
      const writer = await storage.openWriter('a', options)
      equal(await join(writer.read(1, 3)), 'bc', 'what is read before the write')
      await write(writer, 6, 'gh')
      equal(await join(writer.read(4, 8)), 'efgh', 'what is read after an append')
      await write(writer, 2, 'XY')
      equal(await join(writer.read(0, 8)), 'abXYefgh', 'what is read after an overwrite')
      equal(await join(writer.read(3, 3)), '', 'what is read from an empty range')
      await writer.rollback()
    }
  }),
]
