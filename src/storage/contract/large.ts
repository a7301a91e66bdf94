/** The storage contract: content that is larger than the buffers, pages and parts of a storage. */

import type { OpenWriterOptions, Reader, StorageAdapter } from '../adapter.ts'
import {
  ATOMIC,
  BEGUN,
  FINISHED,
  PERSIST,
  REPLACE,
  check,
  collect,
  equal,
  openReader,
  pattern,
  sameBytes,
} from './check.ts'
import type { StorageCheck } from './check.ts'

const MIB = 1024 * 1024
/** Number of bytes, more than object stores usually put into one part of a multipart upload. */
const SIZE = 17 * MIB + 4321
/**
 * Number of bytes in a chunk. It is odd, so that the chunks do not begin where the buffers of the
 * storage do.
 */
const CHUNK = 1_234_567

/** Ranges around the usual sizes of buffers, pages and parts. */
const RANGES: readonly (readonly [start: number, end: number])[] = [
  [0, 1],
  [0, 100],
  [4095, 4097],
  [8191, 8193],
  [65_535, 65_537],
  [MIB - 1, MIB + 1],
  [2 * MIB - 1, 2 * MIB + 1],
  [2 * MIB, 2 * MIB + 70_000],
  [3 * MIB + 5, 3 * MIB + 5],
  [5 * MIB - 3, 5 * MIB + 3],
  [7 * MIB + 1, 9 * MIB - 1],
  [16 * MIB - 1, 16 * MIB + 1],
  [SIZE - 1, SIZE],
  [SIZE - 70_001, SIZE],
  [SIZE, SIZE],
]

/** The checks with content of many megabytes, a part of `storageContract`. */
export const largeChecks: readonly StorageCheck[] = [
  // Storages divide large content into buffers, pages or parts. An error in the arithmetic shows
  // only in ranges that cross their borders, which small files never do: a player that seeks in a
  // film gets wrong bytes, and a full download of the same film is right.
  check('stores and reads any range of many megabytes', async (storage) => {
    const expected = pattern(SIZE)
    for (const options of [PERSIST, ATOMIC]) {
      await fill(storage, options, expected)
      const reader = await openReader(storage, options.transaction)
      equal(reader.info.size, SIZE, 'the size')
      await readRanges(reader, expected, 'a reader')
      sameBytes(await collect(reader.read(0, SIZE)), expected, 'the whole content')
      await reader.close()
    }
  }),

  // A writer reads some bytes from the old version and some from its own, and must choose for each
  // position. The protocol computes the digest of the whole through it. If it reads old bytes in
  // the place of new ones, the server refuses a right upload, or accepts a wrong one.
  check('reads any range of many megabytes from a writer', async (storage) => {
    for (const options of [PERSIST, ATOMIC, REPLACE]) {
      const expected = pattern(SIZE)
      const writer = await storage.openWriter('a', options)
      for (let at = 0; at < SIZE; at += CHUNK) {
        await writer.write(at, [expected.subarray(at, at + CHUNK)])
      }
      await readRanges(writer, expected, `a writer that has written, ${options.transaction}`)
      await writer.commit(BEGUN)

      // This writer has bytes of the base alone, then its own in the middle of them.
      const next = await storage.openWriter('a', options.replace ? PERSIST : options)
      await readRanges(next, expected, `a writer that has only begun, ${options.transaction}`)
      const over = pattern(3 * MIB, 7_654_321)
      await next.write(MIB + 1, [over])
      expected.set(over, MIB + 1)
      await readRanges(next, expected, `a writer that has overwritten, ${options.transaction}`)
      await next.rollback()
      await storage.remove('a')
    }
  }),

  // A storage that replaces whole parts has to copy the bytes of the first and the last part that
  // the write does not cover. If it does not, a patch of a few bytes destroys up to a part of its
  // neighbours.
  check('overwrites a part of many megabytes and leaves the rest', async (storage) => {
    for (const options of [PERSIST, ATOMIC]) {
      const expected = pattern(SIZE)
      await fill(storage, options, expected, BEGUN)
      const over = pattern(4 * MIB + 99, 5_000_000)
      const writer = await storage.openWriter(options.transaction, options)
      await writer.write(2 * MIB + 3, [over])
      await writer.write(SIZE - 2, [over.subarray(0, 5)])
      await writer.commit(FINISHED)
      expected.set(over, 2 * MIB + 3)
      const end = over.subarray(0, 5)
      const reader = await openReader(storage, options.transaction)
      equal(reader.info.size, SIZE + 3, 'the size')
      sameBytes(await collect(reader.read(0, SIZE - 2)), expected.subarray(0, -2), 'the content')
      sameBytes(await collect(reader.read(SIZE - 2, SIZE + 3)), end, 'what was appended')
      await reader.close()
    }
  }),

  // The sizes of chunks depend on the network and on the app. A chunk may be longer than a part of
  // the storage, and a part may consist of thousands of chunks. The bytes must be the same in each
  // case, because a client that gets other bytes back depending on its network can't find the
  // cause.
  check(
    'writes one chunk of many megabytes, and many chunks of different sizes',
    async (storage) => {
      const expected = pattern(6 * MIB)
      const cuts = [0, 1, 2, 9, 65_536, 65_537, 200_000, 2 * MIB, 2 * MIB + 1, 5 * MIB, 6 * MIB]
      const pieces = cuts.slice(1).map((end, index) => expected.subarray(cuts[index], end))
      for (const [key, chunks] of Object.entries({ one: [expected], many: pieces })) {
        for (const options of [PERSIST, ATOMIC]) {
          const writer = await storage.openWriter(key, options)
          await writer.write(0, chunks)
          await writer.commit(FINISHED)
          const reader = await openReader(storage, key)
          sameBytes(await collect(reader.read(0, reader.info.size)), expected, `${key} content`)
          await reader.close()
          await storage.remove(key)
        }
      }
    },
  ),

  // The new end may lie in the middle of a part, which the storage has to keep in part. A storage
  // that only drops whole parts leaves bytes behind the end, and the next append would put its
  // bytes in the wrong place.
  check('truncates many megabytes', async (storage) => {
    const expected = pattern(SIZE)
    await fill(storage, ATOMIC, expected)
    const writer = await storage.openWriter('atomic', ATOMIC)
    await writer.truncate(9 * MIB + 1)
    await writer.commit(FINISHED)
    const reader = await openReader(storage, 'atomic')
    equal(reader.info.size, 9 * MIB + 1, 'the size')
    const found = await collect(reader.read(0, reader.info.size))
    sameBytes(found, expected.subarray(0, 9 * MIB + 1), 'the content')
    await reader.close()
  }),
]

/** Stores `content` under a key that is the name of the transaction. */
async function fill(
  storage: StorageAdapter,
  options: OpenWriterOptions,
  content: Uint8Array,
  state = FINISHED,
): Promise<void> {
  const writer = await storage.openWriter(options.transaction, options)
  for (let at = 0; at < content.length; at += CHUNK) {
    await writer.write(at, [content.subarray(at, at + CHUNK)])
  }
  await writer.commit(state)
}

async function readRanges(
  source: Pick<Reader, 'read'>,
  expected: Uint8Array,
  who: string,
): Promise<void> {
  for (const [start, end] of RANGES) {
    const found = await collect(source.read(start, end))
    sameBytes(found, expected.subarray(start, end), `bytes ${start} to ${end} from ${who}`)
  }
}
