/** The storage contract: readers, which several requests use at the same time. */

import {
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
} from './check.ts'
import type { StorageCheck } from './check.ts'

/** Longer than what a storage reads at a time, so that each read has several chunks. */
const LONG = '0123456789'.repeat(100_000)

/** The checks of the reads of one version, a part of `storageContract`. */
export const readChecks: readonly StorageCheck[] = [
  // A GET with `Range` may ask for any range, and the whole resource is only one of them. The end
  // is exclusive, and an empty range is not an error. A reader that is wrong by one delivers more
  // or fewer bytes than `Content-Length` has announced, and the client does not know where the next
  // answer on the connection begins.
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

  // Several requests read one resource, and one reader serves all ranges of a
  // `multipart/byteranges`. Each call of `read` needs a position of its own. If reads share a
  // position, as with the file position of one handle, each of them gets every second chunk of the
  // file.
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
    // One chunk of each read in turn, so that a shared position or buffer would mix them.
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

  // The protocol may read a version once for its digest, and then again to send it, also after it
  // has left the first read early. A reader that keeps one position for all its reads, or that
  // wraps one stream, returns nothing the second time, and the client gets an empty answer.
  check('reads the same a second time', async (storage) => {
    await store(storage, 'a', 'abcdef')
    const reader = await openReader(storage, 'a')
    for (let count = 0; count < 3; count += 1) {
      equal(await join(reader.read(0, 6)), 'abcdef', 'the whole content')
      equal(await join(reader.read(2, 4)), 'cd', 'a part of the content')
      // Left after its first byte, as for a client that disconnects. The next round reads from the
      // beginning again.
      for await (const chunk of reader.read(1, 6)) {
        if (chunk.length > 0) break
      }
    }
    await reader.close()
  }),

  // A chunk may still wait in the buffer of a slow socket while the storage reads the next one. An
  // adapter that reuses the memory of a chunk changes bytes that are on their way to a client. That
  // shows only under load, and with a right length.
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

  // An adapter may share one file handle or one buffer between readers. `close` must release only
  // what its own reader holds, and may be called twice, because error handlers do. If it closed the
  // shared handle, one client that disconnects would break the downloads of all others.
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

  // A client may close its connection at any time, and the protocol then leaves the iteration
  // early. The adapter must release the file or the request to its service then, without an error.
  // What it does not release adds up, until the process has no file descriptors left.
  check('lets a caller leave a read before its end', async (storage) => {
    await store(storage, 'a', LONG)
    const reader = await openReader(storage, 'a')
    for await (const chunk of reader.read(0, LONG.length)) {
      if (chunk.length > 0) break
    }
    await reader.close()
    await reader.close()
  }),
]
