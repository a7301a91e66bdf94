/** The storage contract: readers, while others change or remove the resource. */

import type { Reader } from '../adapter.ts'
import {
  ATOMIC,
  BEGUN,
  FINISHED,
  PERSIST,
  REPLACE,
  begin,
  bytes,
  check,
  concat,
  equal,
  flush,
  join,
  load,
  openReader,
  sameBytes,
  store,
  toText,
  write,
} from './check.ts'
import type { StorageCheck } from './check.ts'

/** Longer than what a storage reads at a time, so that a read can be interrupted by a change. */
const LONG = '0123456789'.repeat(100_000)

/** The checks of readers beside a change of the resource, a part of `storageContract`. */
export const versionChecks: readonly StorageCheck[] = [
  // A download of a large file may take longer than the next upload of it. A reader must deliver
  // the version that it was opened with until it is closed, whatever happens to the resource
  // meanwhile: by a handle that stays open, a snapshot, or a file that is removed later. Otherwise
  // each replacement breaks all downloads in progress, or mixes two versions.
  check('resumes a read that began before the resource was changed', async (storage) => {
    const changes: readonly (() => Promise<unknown>)[] = [
      () => store(storage, 'a', 'Y'.repeat(LONG.length)),
      () => storage.remove('a'),
      async () => {
        await storage.remove('a')
        await store(storage, 'a', 'Z'.repeat(LONG.length))
      },
      async () => {
        const writer = await storage.openWriter('a', ATOMIC)
        await write(writer, 0, 'X'.repeat(LONG.length))
        await writer.commit(FINISHED)
      },
      async () => {
        const writer = await storage.openWriter('a', ATOMIC)
        await writer.truncate(5)
        await writer.commit(FINISHED)
      },
    ]
    for (const fill of [begin, store]) {
      // The change comes after the first chunk, and a second read begins only after it.
      for (const change of changes) {
        await fill(storage, 'a', LONG)
        const reader = await openReader(storage, 'a')
        const info = toText(reader.info)
        const reading = reader.read(0, LONG.length)[Symbol.asyncIterator]()
        const chunks: Uint8Array[] = []
        let result = await reading.next()
        await change()
        while (result.done !== true) {
          chunks.push(result.value)
          result = await reading.next()
        }
        sameBytes(concat(chunks), bytes(LONG), 'a read that began before a change')
        equal(await join(reader.read(9, 99)), LONG.slice(9, 99), 'a read that begins later')
        equal(toText(reader.info), info, 'the info of the reader')
        await reader.close()
        await storage.remove('a')
      }
    }
  }),

  // `info.size` of a reader is the `Content-Length` of the answer, which has been sent before the
  // content. A reader must not deliver bytes that were appended later, because they would be read
  // as the beginning of the next answer on the same connection.
  check('reads one version while the resource grows', async (storage) => {
    await begin(storage, 'a', 'abc')
    const reader = await openReader(storage, 'a')
    const writer = await storage.openWriter('a', PERSIST)
    await write(writer, 3, 'def')
    await writer.commit(FINISHED)
    equal(reader.info.size, 3, 'the size of the version')
    equal(await join(reader.read(0, 3)), 'abc', 'what the reader reads')
    await reader.close()
    equal(await load(storage, 'a'), 'abcdef', 'the content')
  }),

  // The answer already has the etag of the old version, so that all its bytes must be old, even
  // those that are read after the commit. A client would otherwise store a mixture of two versions
  // under a validator that says that it is the old one.
  check('reads one version while the resource is patched', async (storage) => {
    for (const fill of [begin, store]) {
      await fill(storage, fill.name, 'abcdef')
      const reader = await openReader(storage, fill.name)
      const writer = await storage.openWriter(fill.name, ATOMIC)
      await write(writer, 2, 'XY')
      equal(await join(reader.read(0, 6)), 'abcdef', 'what is read during the write')
      await writer.commit(FINISHED)
      equal(await join(reader.read(0, 6)), 'abcdef', 'what is read after the commit')
      await reader.close()
      equal(await load(storage, fill.name), 'abXYef', 'the content')
    }
  }),

  // A persist write over stored bytes destroys them. The reader of the version before may then fail
  // with an error, which cuts the connection, so that the client notices and asks again. It must
  // not return new bytes: the client would treat them as a part of the old version.
  check('never mixes versions where a resource is written over in place', async (storage) => {
    await begin(storage, 'a', 'abcdef')
    const reader = await openReader(storage, 'a')
    const writer = await storage.openWriter('a', PERSIST)
    await write(writer, 2, 'XY')
    await writer.commit(BEGUN)
    equal((await readOrFail(reader)) ?? 'abcdef', 'abcdef', 'what the reader reads')
    await reader.close()
  }),

  // The bytes that a rollback cuts off may be replaced by others before the reader has read them. A
  // reader that only compares sizes does not notice. It has to fail, or to deliver the bytes that
  // existed when it was opened.
  check('never mixes versions where a write is undone', async (storage) => {
    await begin(storage, 'a', 'abc')
    const writer = await storage.openWriter('a', PERSIST)
    await write(writer, 3, 'def')
    await flush(writer)
    const reader = await openReader(storage, 'a')
    const expected = writer.transaction === 'persist' ? 'abcdef' : 'abc'
    await writer.rollback()
    const next = await storage.openWriter('a', PERSIST)
    await write(next, 3, 'XYZ')
    await next.commit(BEGUN)
    equal((await readOrFail(reader)) ?? expected, expected, 'what the reader reads')
    await reader.close()
  }),

  // A reader that opens the file by its name for each read continues in the new file, at the
  // position where the old one was read so far. It has to open the version once, when it is made,
  // and keep it.
  check('reads one version while the resource is replaced', async (storage) => {
    for (const fill of [begin, store]) {
      for (const state of [BEGUN, FINISHED]) {
        await storage.remove('a')
        await fill(storage, 'a', 'abc')
        const reader = await openReader(storage, 'a')
        const writer = await storage.openWriter('a', REPLACE)
        await write(writer, 0, 'XYZ')
        await writer.commit(state)
        equal(await join(reader.read(0, 3)), 'abc', 'what the reader reads')
        await reader.close()
        equal(await load(storage, 'a'), 'XYZ', 'the content')
      }
    }
  }),

  // A removal must not interrupt the downloads that have begun. On a file system an open handle is
  // enough. In an object store the parts of the version have to stay until the last reader has
  // ended, or the reader fails, and the download has to be repeated for a file that is gone.
  check('reads one version while the resource is removed', async (storage) => {
    for (const fill of [begin, store]) {
      await fill(storage, fill.name, 'abc')
      const reader = await openReader(storage, fill.name)
      equal(await storage.remove(fill.name), true, 'remove')
      equal(await load(storage, fill.name), null, 'the content')
      equal(await join(reader.read(0, 3)), 'abc', 'what the reader reads')
      await fill(storage, fill.name, 'XYZ')
      equal(await join(reader.read(0, 3)), 'abc', 'what the reader reads after a new creation')
      await reader.close()
    }
  }),

  // GET and HEAD take no lock, so that they must work while a writer is open, and show the
  // committed version. A storage that locks the file for a writer would make each file unreadable
  // during its upload, which may take hours.
  check('shows the current version while a writer is open', async (storage) => {
    await store(storage, 'a', 'abc')
    const before = await storage.head('a')
    const writer = await storage.openWriter('a', ATOMIC)
    await write(writer, 3, 'def')
    equal(await storage.head('a'), before, 'head during the write')
    const after = await writer.commit(FINISHED)
    equal(await storage.head('a'), after, 'head after the commit')
  }),
]

/**
 * Reads all bytes; null if the reader fails. A storage that writes in place may do that instead of
 * returning the old bytes.
 */
async function readOrFail(reader: Reader): Promise<string | null> {
  try {
    return await join(reader.read(0, reader.info.size))
  } catch {
    return null
  }
}
