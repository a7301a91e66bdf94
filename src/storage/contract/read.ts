/** The storage contract: readers, and what goes on beside them. */

import type { Reader, StorageAdapter } from '../adapter.ts'
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
  store,
  write,
} from './check.ts'
import type { StorageCheck } from './check.ts'

const LONG = '0123456789'.repeat(100_000)

/** The checks of this file. */
export const readChecks: readonly StorageCheck[] = [
  check('reads any range', async (storage) => {
    await store(storage, 'a', LONG)
    const reader = await open(storage, 'a')
    for (const [start, end] of [
      [0, 0],
      [0, 1],
      [999_999, 1_000_000],
      [1_000_000, 1_000_000],
      [65_535, 65_537],
      [1, 600_000],
      [0, 1_000_000],
    ] as const) {
      const text = await join(reader.read(start, end))
      if (text !== LONG.slice(start, end)) throw new Error(`${start} to ${end} reads other bytes`)
    }
    await reader.close()
  }),

  check('lets a reader go before the end', async (storage) => {
    await store(storage, 'a', LONG)
    const reader = await open(storage, 'a')
    for await (const chunk of reader.read(0, LONG.length)) {
      if (chunk.length > 0) break
    }
    await reader.close()
    await reader.close()
  }),

  check('reads one version while the resource grows', async (storage) => {
    await begin(storage, 'a', 'abc')
    const reader = await open(storage, 'a')
    const writer = await storage.openWriter('a', PERSIST)
    await write(writer, 3, 'def')
    await writer.commit(FINISHED)
    equal(reader.info.size, 3, 'the size of the version')
    equal(await join(reader.read(0, 3)), 'abc', 'what the reader reads')
    await reader.close()
    equal(await load(storage, 'a'), 'abcdef', 'the content')
  }),

  check('reads one version while the resource is patched', async (storage) => {
    for (const fill of [begin, store]) {
      await fill(storage, fill.name, 'abcdef')
      const reader = await open(storage, fill.name)
      const writer = await storage.openWriter(fill.name, ATOMIC)
      await write(writer, 2, 'XY')
      equal(await join(reader.read(0, 6)), 'abcdef', 'what is read during the write')
      await writer.commit(FINISHED)
      equal(await join(reader.read(0, 6)), 'abcdef', 'what is read after the commit')
      await reader.close()
      equal(await load(storage, fill.name), 'abXYef', 'the content')
    }
  }),

  check('never mixes versions where a resource is written over in place', async (storage) => {
    await begin(storage, 'a', 'abcdef')
    const reader = await open(storage, 'a')
    const writer = await storage.openWriter('a', PERSIST)
    await write(writer, 2, 'XY')
    await writer.commit(BEGUN)
    equal((await readOrFail(reader)) ?? 'abcdef', 'abcdef', 'what the reader reads')
    await reader.close()
  }),

  check('never mixes versions where a write is taken back', async (storage) => {
    await begin(storage, 'a', 'abc')
    const writer = await storage.openWriter('a', PERSIST)
    await write(writer, 3, 'def')
    const reader = await open(storage, 'a')
    const expected = writer.transaction === 'persist' ? 'abcdef' : 'abc'
    await writer.rollback()
    const next = await storage.openWriter('a', PERSIST)
    await write(next, 3, 'XYZ')
    await next.commit(BEGUN)
    equal((await readOrFail(reader)) ?? expected, expected, 'what the reader reads')
    await reader.close()
  }),

  check('reads one version while the resource is replaced', async (storage) => {
    for (const fill of [begin, store]) {
      for (const state of [BEGUN, FINISHED]) {
        await storage.remove('a')
        await fill(storage, 'a', 'abc')
        const reader = await open(storage, 'a')
        const writer = await storage.openWriter('a', REPLACE)
        await write(writer, 0, 'XYZ')
        await writer.commit(state)
        equal(await join(reader.read(0, 3)), 'abc', 'what the reader reads')
        await reader.close()
        equal(await load(storage, 'a'), 'XYZ', 'the content')
      }
    }
  }),

  check('reads one version while the resource is removed', async (storage) => {
    for (const fill of [begin, store]) {
      await fill(storage, fill.name, 'abc')
      const reader = await open(storage, fill.name)
      equal(await storage.remove(fill.name), true, 'remove')
      equal(await load(storage, fill.name), null, 'the content')
      equal(await join(reader.read(0, 3)), 'abc', 'what the reader reads')
      await fill(storage, fill.name, 'XYZ')
      equal(await join(reader.read(0, 3)), 'abc', 'what the reader reads after a new creation')
      await reader.close()
    }
  }),

  check('tells of the current version while a writer is open', async (storage) => {
    await store(storage, 'a', 'abc')
    const before = await storage.head('a')
    const writer = await storage.openWriter('a', ATOMIC)
    await write(writer, 3, 'def')
    equal(await storage.head('a'), before, 'head during the write')
    const after = await writer.commit(FINISHED)
    equal(await storage.head('a'), after, 'head after the commit')
  }),
]

async function open(storage: StorageAdapter, key: string): Promise<Reader> {
  const reader = await storage.openReader(key)
  if (reader === null) throw new Error(`${key} is not there`)
  return reader
}

/** A storage that writes in place can't give old bytes any more, but it must not give others. */
async function readOrFail(reader: Reader): Promise<string | null> {
  try {
    return await join(reader.read(0, reader.info.size))
  } catch {
    return null
  }
}
