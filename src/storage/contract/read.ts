/** The storage contract: readers, while the resource is read, changed and removed by others. */

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
  join,
  load,
  openReader,
  sameBytes,
  store,
  write,
  toText,
  flush,
} from './check.ts'
import type { StorageCheck } from './check.ts'

const LONG = '0123456789'.repeat(100_000)

/** The checks of readers, a part of `storageContract`. */
export const readChecks: readonly StorageCheck[] = [
  // A GET with `Range` asks for any range, and the whole resource is only one of them.
  check('reads any range', async (storage) => {
    await store(storage, 'a', LONG)
    const reader = await openReader(storage, 'a')
    for (const [start, end] of [
      [0, 0],
      [0, 1],
      [999_999, 1_000_000],
      [1_000_000, 1_000_000],
      [65_535, 65_537],
      [1, 600_000],
      [0, 1_000_000],
    ] as const) {
      equal(await join(reader.read(start, end)), LONG.slice(start, end), `bytes ${start} to ${end}`)
    }
    await reader.close()
  }),

  // Several requests read one resource, and a reader may serve several ranges of one request.
  check('reads in several places at once, each read on its own', async (storage) => {
    await store(storage, 'a', LONG)
    const other = LONG.split('').reverse().join('')
    await store(storage, 'b', other)
    const [first, second] = [await openReader(storage, 'a'), await openReader(storage, 'a')]
    const third = await openReader(storage, 'b')
    const reads = [
      { source: first.read(0, 500_000), expected: LONG.slice(0, 500_000) },
      { source: first.read(300_001, 900_000), expected: LONG.slice(300_001, 900_000) },
      { source: second.read(0, 1_000_000), expected: LONG },
      { source: third.read(7, 800_000), expected: other.slice(7, 800_000) },
    ]
    const iterators = reads.map(({ source }) => source[Symbol.asyncIterator]())
    const chunks: Uint8Array[][] = reads.map(() => [])
    for (let open = reads.length; open > 0;) {
      open = 0
      for (const [index, iterator] of iterators.entries()) {
        const result = await iterator.next()
        if (result.done === true) continue
        chunks[index]?.push(result.value)
        open += 1
      }
    }
    for (const [index, { expected }] of reads.entries()) {
      sameBytes(concat(chunks[index] ?? []), bytes(expected), `read ${index} of 4 in turns`)
    }
    const both = await Promise.all([join(first.read(0, 1_000_000)), join(first.read(5, 15))])
    equal(both[0], LONG, 'the first of two reads at once')
    equal(both[1], LONG.slice(5, 15), 'the second of two reads at once')
    for (const reader of [first, second, third]) await reader.close()
  }),

  // A reader with one position for all its reads would return nothing the second time.
  check('reads the same a second time', async (storage) => {
    await store(storage, 'a', 'abcdef')
    const reader = await openReader(storage, 'a')
    for (let count = 0; count < 3; count += 1) {
      equal(await join(reader.read(0, 6)), 'abcdef', 'the whole content')
      equal(await join(reader.read(2, 4)), 'cd', 'a part of the content')
      for await (const chunk of reader.read(1, 6)) {
        if (chunk.length > 0) break
      }
    }
    await reader.close()
  }),

  // A chunk may still wait in the buffer of a socket while the storage reads the next one.
  check('never changes a chunk that it has given out', async (storage) => {
    await begin(storage, 'a', LONG)
    const reader = await openReader(storage, 'a')
    const chunks: Uint8Array[] = []
    for await (const chunk of reader.read(0, LONG.length)) chunks.push(chunk)
    const writer = await storage.openWriter('a', PERSIST)
    const written: Uint8Array[] = []
    for await (const chunk of writer.read(0, LONG.length)) written.push(chunk)
    await write(writer, 0, 'X'.repeat(100_000))
    await writer.commit(BEGUN)
    const replacing = await storage.openWriter('a', REPLACE)
    await write(replacing, 0, 'Y'.repeat(LONG.length))
    await replacing.commit(FINISHED)
    await storage.remove('a')
    sameBytes(concat(chunks), bytes(LONG), 'the chunks of a reader, later')
    sameBytes(concat(written), bytes(LONG), 'the chunks of a writer, later')
    await reader.close()
  }),

  // An adapter may share one file or one buffer between two readers.
  check('closes one reader and leaves the others', async (storage) => {
    for (const fill of [begin, store]) {
      await fill(storage, 'a', LONG)
      const [first, second] = [await openReader(storage, 'a'), await openReader(storage, 'a')]
      const reading = second.read(0, LONG.length)[Symbol.asyncIterator]()
      const chunks: Uint8Array[] = []
      let result = await reading.next()
      await first.close()
      await first.close()
      const third = await openReader(storage, 'a')
      while (result.done !== true) {
        chunks.push(result.value)
        result = await reading.next()
      }
      sameBytes(concat(chunks), bytes(LONG), 'what a reader reads after another was closed')
      await second.close()
      equal(await join(third.read(0, 9)), LONG.slice(0, 9), 'what the last reader reads')
      await third.close()
      equal(await load(storage, 'a'), LONG, 'the content after all readers were closed')
    }
  }),

  // A download of a large file may take longer than the next upload of it.
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

  // A client may close its connection at any time, and the file must be released.
  check('lets a caller leave a read before its end', async (storage) => {
    await store(storage, 'a', LONG)
    const reader = await openReader(storage, 'a')
    for await (const chunk of reader.read(0, LONG.length)) {
      if (chunk.length > 0) break
    }
    await reader.close()
    await reader.close()
  }),

  // The reader must not deliver more bytes than its info announces.
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

  // The response already has the etag of the old version, so that all its bytes must be old.
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

  // A write in place destroys the old bytes. The reader may then fail, but must not return new
  // bytes.
  check('never mixes versions where a resource is written over in place', async (storage) => {
    await begin(storage, 'a', 'abcdef')
    const reader = await openReader(storage, 'a')
    const writer = await storage.openWriter('a', PERSIST)
    await write(writer, 2, 'XY')
    await writer.commit(BEGUN)
    equal((await readOrFail(reader)) ?? 'abcdef', 'abcdef', 'what the reader reads')
    await reader.close()
  }),

  // The bytes that a rollback cuts off may be replaced by others before the reader has read them.
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

  // A reader that opens the file again for each read would continue in the new one.
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

  // A removal must not interrupt the downloads that have begun.
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

  // GET and HEAD must keep working while a writer is open.
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
