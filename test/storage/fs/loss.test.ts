/** The size of an upload that the file store reports after its bytes may have been lost. */
import { mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import type { OpenWriterOptions, StorageAdapter } from '../../../src/storage/adapter.ts'
import { ATOMIC, BEGUN, FINISHED, PERSIST } from '../../../src/storage/contract/check.ts'
import type { FsStorageOptions } from '../../../src/storage/fs.ts'
import { cacheOf } from '../../../src/storage/fs/page-cache.ts'

const NO_CACHE = cacheOf({ staging: tmpdir() }) === ''

let directory: string
let staging: string
let storage: StorageAdapter

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-'))
  staging = path.join(directory, '.partial-upload')
  storage = await start('complete')
})

afterEach(async () => {
  await rm(directory, { recursive: true })
})

/** Makes a storage that shares only the files with the others, as in the next process. */
async function start(fsync: FsStorageOptions['fsync']): Promise<StorageAdapter> {
  vi.resetModules()
  const module = await import('../../../src/storage/fs.ts')
  return module.fsStorage({ directory, ...(fsync && { fsync }) })
}

async function append(bytes: string, options: OpenWriterOptions, state = BEGUN) {
  const writer = await storage.openWriter('a', options)
  await writer.write(writer.base?.size ?? 0, [Buffer.from(bytes)])
  return writer.commit(state)
}

async function load(): Promise<string | null> {
  const reader = await storage.openReader('a')
  const stored = reader && (await text(reader.read(0, reader.info.size)))
  await reader?.close()
  return stored
}

async function hiddenPath(end: '.json' | '.data' | '.safe'): Promise<string> {
  const name = (await readdir(staging)).find((other) => other.endsWith(end))
  return path.join(staging, name ?? `no${end}`)
}

/** Changes the boot id in the record, as if the system was started since. */
async function restartSystem(fsync: FsStorageOptions['fsync'] = 'complete'): Promise<void> {
  const record = await hiddenPath('.json')
  const bytes = await readFile(record, 'utf8')
  await writeFile(record, bytes.replace(/"boot":"[^"]+"/, '"boot":"earlier"'))
  storage = await start(fsync)
}

test('bytes that were lost and sent again differently have another etag', async () => {
  await append('abc', PERSIST)
  const before = await append('def', PERSIST)
  await truncate(await hiddenPath('.data'), 3)
  storage = await start('complete')

  const after = await append('DEF', PERSIST)

  expect([before.size, after.size]).toEqual([6, 6])
  expect(after.etag).not.toBe(before.etag)
  expect((await storage.head('a'))?.etag).toBe(after.etag)
})

test('an upload has the same etag in the next process', async () => {
  const before = await append('abc', PERSIST)
  storage = await start('complete')

  expect(await storage.head('a')).toEqual(before)
})

describe.skipIf(NO_CACHE)(
  `after a start of the system${NO_CACHE ? ' (only detected on Linux)' : ''}`,
  () => {
    test('bytes that were not flushed do not count', async () => {
      const before = await append('abc', PERSIST)
      await restartSystem()

      expect([await storage.head('a'), await load()]).toMatchObject([{ size: 0 }, ''])
      const after = await append('ABC', PERSIST)
      expect(after.size).toBe(3)
      expect(after.etag).not.toBe(before.etag)
      expect(await load()).toBe('ABC')
    })

    test('an atomic write counts', async () => {
      await append('abc', PERSIST)
      const before = await append('def', ATOMIC)
      await append('ghi', PERSIST)
      await restartSystem()

      expect((await storage.head('a'))?.size).toBe(before.size)
      expect(await load()).toBe('abcdef')
      await append('GHI', PERSIST, FINISHED)
      expect(await load()).toBe('abcdefGHI')
    })

    test('with fsync: segment each segment counts, and the kept bytes of a cut one', async () => {
      storage = await start('segment')
      await append('abc', PERSIST)
      await append('def', PERSIST)
      await restartSystem('segment')
      expect(await load()).toBe('abcdef')

      const writer = await storage.openWriter('a', PERSIST)
      await writer.write(6, [Buffer.from('ghi')])
      await writer.keep()
      const cut = await storage.openWriter('a', PERSIST)
      await cut.write(9, [Buffer.from('jkl')])
      await restartSystem('segment')

      expect(await load()).toBe('abcdefghi')
      await cut.rollback()
    })

    test('with fsync: never all stored bytes count', async () => {
      storage = await start('never')
      await append('abc', PERSIST)
      await restartSystem('never')

      expect(await load()).toBe('abc')
    })

    test('a watermark of bytes that were rolled back does not count', async () => {
      storage = await start('segment')
      await append('abcdef', PERSIST)
      const mark = await readFile(await hiddenPath('.safe'))
      const writer = await storage.openWriter('a', PERSIST)
      await writer.write(0, [Buffer.from('ABCDEF')])
      await writer.keep()
      await append('ghi', PERSIST)
      await writeFile(await hiddenPath('.safe'), mark)
      await restartSystem('segment')

      expect(await load()).toBe('ABCDEF')
    })

    test.each(['', 'x', '\0'.repeat(64)])('a watermark of %j counts no bytes', async (mark) => {
      storage = await start('segment')
      await append('abc', PERSIST)
      await writeFile(await hiddenPath('.safe'), mark)
      await restartSystem('segment')

      expect(await load()).toBe('')
    })

    test('a finished resource is unchanged', async () => {
      await append('abc', PERSIST)
      const before = await append('def', PERSIST, FINISHED)
      storage = await start('complete')

      expect(await storage.head('a')).toEqual(before)
      expect(await readdir(staging)).toHaveLength(1)
    })

    test('bytes that were flushed before the process ended count', async () => {
      await append('abc', PERSIST)
      await storage.flush?.()
      await append('def', PERSIST)
      await restartSystem()

      expect(await load()).toBe('abc')
    })

    test('bytes that the next process has flushed after a crash count', async () => {
      await append('abc', PERSIST)
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
      try {
        storage = await start('complete')
        await storage.head('a')
        await vi.waitUntil(() => vi.getTimerCount() > 0)
        vi.advanceTimersByTime(10_000)
      } finally {
        vi.useRealTimers()
      }
      await expect.poll(async () => (await stat(await hiddenPath('.safe'))).size).toBe(64)
      await restartSystem()

      expect(await load()).toBe('abc')
    })

    test('bytes that were flushed in the background count', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
      try {
        storage = await start('complete')
        await append('abc', PERSIST)
        await append('def', PERSIST)
        vi.advanceTimersByTime(10_000)
      } finally {
        vi.useRealTimers()
      }
      await expect.poll(async () => (await stat(await hiddenPath('.safe'))).size).toBe(64)
      await append('ghi', PERSIST)
      await restartSystem()

      expect(await load()).toBe('abcdef')
      await append('GHI', PERSIST, FINISHED)
      expect(await load()).toBe('abcdefGHI')
      expect(await readdir(staging)).toHaveLength(1)
    })
  },
)
