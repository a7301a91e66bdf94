import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFile,
  copyFile,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { buffer, text } from 'node:stream/consumers'

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { withFreeLock } from '../../../../src/server/free-lock.ts'
import type {
  ResourceInfo,
  ResourceState,
  StorageAdapter,
  WithLock,
} from '../../../../src/storage/adapter.ts'
import { ATOMIC, FINISHED } from '../../../../src/storage/contract/check.ts'
import { fsStorage } from '../../../../src/storage/fs.ts'
import type { FsStorageOptions } from '../../../../src/storage/fs.ts'
import { memoryLocker } from '../../../../src/storage/lock.ts'
import { FAST_DIRECTORY } from '../../../support/storage/stores.ts'

const REOPENED: ResourceState = { ...FINISHED, complete: false }
const CHILD = fileURLToPath(new URL('../../../support/storage/fs-layers-child.ts', import.meta.url))
const TWO_HOURS_AGO = new Date(Date.now() - 7_200_000)

let directory: string
let staging: string
let storage: StorageAdapter
const stops: (() => Promise<void>)[] = []

beforeEach(async () => {
  directory = await mkdtemp(path.join(FAST_DIRECTORY, 'partial-upload-'))
  staging = path.join(directory, '.partial-upload')
  storage = open()
})

afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()))
  await rm(directory, { recursive: true, force: true })
})

function open(options: Partial<FsStorageOptions> = {}): StorageAdapter {
  return fsStorage({ directory, patch: 'layers', layersAbove: 0, rebuildAfter: 0, ...options })
}

/** Makes a storage that shares only the files with the others, as in another process. */
async function elsewhere(options: Partial<FsStorageOptions> = {}): Promise<StorageAdapter> {
  vi.resetModules()
  const module = await import('../../../../src/storage/fs.ts')
  return module.fsStorage({
    directory,
    patch: 'layers',
    layersAbove: 0,
    rebuildAfter: 0,
    ...options,
  })
}

/** Rebuilds with these locks until the end of the test. */
function maintain(from = storage, withLock: WithLock = async (_key, work) => work(() => false)) {
  const stop = from.maintain?.(withLock)
  if (stop !== undefined) stops.push(stop)
}

async function patch(
  position: number,
  bytes: string | Uint8Array,
  state = FINISHED,
  from = storage,
): Promise<ResourceInfo> {
  const writer = await from.openWriter('a', ATOMIC)
  try {
    await writer.write(position, [Buffer.from(bytes)])
    return await writer.commit(state)
  } finally {
    await writer.rollback()
  }
}

async function load(from = storage): Promise<string | null> {
  const reader = await from.openReader('a')
  const stored = reader && (await text(reader.read(0, reader.info.size)))
  await reader?.close()
  return stored
}

const onDisk = () => readFile(path.join(directory, 'a'), 'utf8')

async function layers(): Promise<string[]> {
  return (await readdir(staging)).filter((name) => name.endsWith('.patch'))
}

async function recordPath(): Promise<string> {
  const [name = ''] = (await readdir(staging)).filter((entry) => entry.endsWith('.json'))
  return path.join(staging, name)
}

async function layerPath(): Promise<string> {
  const [name = ''] = await layers()
  return path.join(staging, name)
}

describe('a patch of a finished file', () => {
  test('is a layer: readers see it, and the file stays unchanged', async () => {
    await patch(0, '0123456789')
    const info = await patch(4, 'xy')

    expect(await load()).toBe('0123xy6789')
    expect(await storage.head('a')).toEqual(info)
    expect(await onDisk()).toBe('0123456789')
    expect(await layers()).toHaveLength(1)
    expect(await load(await elsewhere())).toBe('0123xy6789')
  })

  test('merges the small layers before it', async () => {
    await patch(0, '0123456789')
    for (let position = 0; position < 10; position += 2) await patch(position, 'x')
    const record = await readRecord()

    expect(await load()).toBe('x1x3x5x7x9')
    expect(record.published.layers).toHaveLength(1)
  })

  test('may truncate, and leave a gap', async () => {
    await patch(0, '0123456789')
    const writer = await storage.openWriter('a', ATOMIC)
    await writer.truncate(4)
    await writer.write(6, [Buffer.from('x')])
    await writer.truncate(6)
    await writer.write(8, [Buffer.from('y')])
    expect(await text(writer.read(0, 9))).toBe('0123\0\0\0\0y')
    await writer.commit(FINISHED)

    expect(await load()).toBe('0123\0\0\0\0y')
    expect(await onDisk()).toBe('0123456789')
  })

  test('is a copy if it replaces more than a quarter of the file', async () => {
    await patch(0, Buffer.alloc(8 * 1024 * 1024, 'a'))
    const writer = await storage.openWriter('a', ATOMIC)
    for (let part = 0; part < 6; part += 1) {
      await writer.write(1024 * 1024 * part, [Buffer.alloc(512 * 1024, 'b')])
    }
    await writer.truncate(8 * 1024 * 1024 - 1)
    await writer.commit(FINISHED)

    const expected = Buffer.alloc(8 * 1024 * 1024 - 1, 'a')
    for (let part = 0; part < 6; part += 1) {
      expected.fill('b', 1024 * 1024 * part, 1024 * 1024 * part + 512 * 1024)
    }
    expect((await readFile(path.join(directory, 'a'))).equals(expected)).toBe(true)
    expect(await layers()).toEqual([])
  })

  test('is a copy if the file is small, and by default', async () => {
    for (const options of [{ layersAbove: 11 }, { patch: 'copy' }] as const) {
      await patch(0, '0123456789')
      await patch(4, 'xy', FINISHED, open(options))

      expect(await onDisk()).toBe('0123xy6789')
    }
  })

  test('of which another storage makes a copy has the bytes of the layers', async () => {
    await patch(0, '0123456789')
    await patch(4, 'xy')
    await patch(0, 'z', FINISHED, open({ patch: 'copy' }))

    expect(await onDisk()).toBe('z123xy6789')
    expect(await layers()).toEqual([])
  })

  test('leaves nothing when it is rolled back', async () => {
    await patch(0, '0123456789')
    const writer = await storage.openWriter('a', ATOMIC)
    await writer.write(0, [Buffer.from('x')])
    await writer.rollback()

    expect(await load()).toBe('0123456789')
    expect(await layers()).toEqual([])
  })

  test('is invisible to a reader that was opened before', async () => {
    await patch(0, '0123456789')
    await patch(1, 'x')
    const reader = await storage.openReader('a')
    await patch(2, 'y')
    await storage.remove('a')

    expect(reader && (await text(reader.read(0, 10)))).toBe('0x23456789')
    await reader?.close()
  })

  test('keeps its bytes when only the state changes', async () => {
    await patch(0, '0123456789')
    await patch(1, 'x')
    const writer = await storage.openWriter('a', ATOMIC)
    await writer.commit({ ...FINISHED, contentType: 'text/html' })

    expect(await load()).toBe('0x23456789')
    expect(await layers()).toHaveLength(1)
  })

  test.each(['replaced', 'reopened', 'removed'])('loses its layers when it is %s', async (how) => {
    await patch(0, '0123456789')
    await patch(1, 'a')
    await patch(1, 'x')
    if (how === 'removed') await storage.remove('a')
    else if (how === 'reopened') await patch(10, 'y', REOPENED)
    else {
      const writer = await storage.openWriter('a', { ...ATOMIC, replace: true })
      await writer.commit(FINISHED)
    }

    expect(await layers()).toEqual([])
    const expected = { replaced: '', reopened: '0x23456789y', removed: null }
    expect(await load()).toBe(expected[how as keyof typeof expected])
  })
})

interface StoredRecord {
  readonly published: { readonly file: string; readonly layers: readonly string[] }
}

async function readRecord(): Promise<StoredRecord> {
  return JSON.parse(await readFile(await recordPath(), 'utf8')) as StoredRecord
}

describe('the record of a file with layers', () => {
  test('is refused by version 0.1.0, which knows only a text as the fingerprint', async () => {
    await patch(0, '0123456789')
    await patch(1, 'x')

    expect((await readRecord()).published).toMatchObject({ file: expect.any(String) as string })
  })
})

describe('a layer that another program', () => {
  beforeEach(async () => {
    await patch(0, '0123456789')
    await patch(1, 'x')
  })

  test('has removed is reported, and the file can be replaced and removed', async () => {
    await unlink(await layerPath())

    await expect(load()).rejects.toThrow('a layer of the resource is missing')
    await expect(patch(2, 'y')).rejects.toThrow('a layer of the resource is missing')
    const writer = await storage.openWriter('a', { ...ATOMIC, replace: true })
    await writer.write(0, [Buffer.from('new')])
    await writer.commit(FINISHED)
    expect(await load()).toBe('new')
    expect(await storage.remove('a')).toBe(true)
  })

  test.each(['cut', 'extended'])('has %s is refused', async (how) => {
    if (how === 'cut') await truncate(await layerPath(), 20)
    else await appendFile(await layerPath(), 'x')

    await expect(load(await elsewhere())).rejects.toThrow(/layer .* is damaged/)
  })
})

describe('a file below layers that another program', () => {
  let before: ResourceInfo

  beforeEach(async () => {
    await patch(0, '0123456789')
    before = await patch(1, 'x')
  })

  test('has touched keeps its patches, under another entity tag', async () => {
    await utimes(path.join(directory, 'a'), TWO_HOURS_AGO, TWO_HOURS_AGO)
    const touched = await storage.head('a')

    expect(touched?.etag).not.toBe(before.etag)
    expect(touched?.size).toBe(10)
    expect(await load()).toBe('0x23456789')
    const after = await patch(2, 'y')
    expect(await load()).toBe('0xy3456789')
    expect(after.etag).not.toBe(touched?.etag)
    expect(await storage.head('a')).toEqual(after)
  })

  test('has touched keeps its patches in a sweep and in the rebuild, which changes no entity tag', async () => {
    await utimes(path.join(directory, 'a'), TWO_HOURS_AGO, TWO_HOURS_AGO)
    await utimes(await recordPath(), TWO_HOURS_AGO, TWO_HOURS_AGO)
    const touched = await storage.head('a')
    const next = await elsewhere()
    maintain(next)
    await next.head('b')

    await expect.poll(onDisk).toBe('0x23456789')
    await expect.poll(() => readdir(staging)).toEqual([expect.stringMatching(/\.json$/)])
    expect(await storage.head('a')).toEqual(touched)
    expect(await load(next)).toBe('0x23456789')
  })

  test('has edited in place keeps its patches in the rebuild', async () => {
    await writeFile(path.join(directory, 'a'), '9876543210', { flag: 'r+' })
    const edited = await storage.head('a')
    expect(edited?.etag).not.toBe(before.etag)
    expect(await load()).toBe('9x76543210')
    maintain()

    await expect.poll(onDisk).toBe('9x76543210')
    await expect.poll(layers).toEqual([])
    expect(await storage.head('a')).toEqual(edited)
  })

  test.each([
    ['extended', '0123456789z'],
    ['cut', '0123'],
  ])('has %s in place is the file of that program', async (how, expected) => {
    if (how === 'cut') await truncate(path.join(directory, 'a'), 4)
    else await appendFile(path.join(directory, 'a'), 'z')
    expect(await load()).toBe(expected)
    await patch(1, 'y')

    maintain()
    await expect.poll(onDisk).toBe(expected.replace('1', 'y'))
    await expect.poll(layers).toEqual([])
  })

  test('has extended in place loses its layers in a sweep after an hour', async () => {
    await appendFile(path.join(directory, 'a'), 'z')
    await utimes(await recordPath(), TWO_HOURS_AGO, TWO_HOURS_AGO)
    await load(await elsewhere())

    await expect.poll(() => readdir(staging)).toEqual([])
  })

  test('has replaced is the file of that program', async () => {
    await writeFile(path.join(directory, 'b'), '9876543210')
    await rename(path.join(directory, 'b'), path.join(directory, 'a'))

    expect(await load()).toBe('9876543210')
    await patch(1, 'z')
    expect(await load()).toBe('9z76543210')
  })

  test('has removed is absent', async () => {
    await unlink(path.join(directory, 'a'))

    expect(await storage.head('a')).toBeNull()
    expect(await load()).toBeNull()
  })
})

describe('a sweep', () => {
  test('removes old layers without a record, and no others', async () => {
    await patch(0, '0123456789')
    await patch(1, 'x')
    const named = await layerPath()
    await utimes(named, TWO_HOURS_AGO, TWO_HOURS_AGO)
    const old = named.replace(/.{12}\.patch$/, 'OLDOLDOLDOLD.patch')
    const young = named.replace(/.{12}\.patch$/, 'NEWNEWNEWNEW.patch')
    await copyFile(named, old)
    await copyFile(named, young)
    await utimes(old, TWO_HOURS_AGO, TWO_HOURS_AGO)
    await load(await elsewhere())

    const left = [named, young].map((file) => path.basename(file)).toSorted()
    await expect.poll(async () => (await layers()).toSorted()).toEqual(left)
  })
})

describe('a rebuild', () => {
  test('writes the bytes into the file, without a visible change', async () => {
    await patch(0, '0123456789')
    const info = await patch(4, 'xy')
    const reader = await storage.openReader('a')
    maintain()

    await expect.poll(onDisk).toBe('0123xy6789')
    await expect.poll(() => readdir(staging)).toEqual([expect.stringMatching(/\.json$/)])
    expect(await storage.head('a')).toEqual(info)
    expect(await load()).toBe('0123xy6789')
    expect(reader && (await text(reader.read(0, 10)))).toBe('0123xy6789')
    await reader?.close()
  })

  test('finds the layers that an earlier process has left, even with patch: copy', async () => {
    await patch(0, '0123456789')
    await patch(4, 'xy')
    const next = await elsewhere({ patch: 'copy' })
    maintain(next)
    await next.head('b')

    await expect.poll(onDisk).toBe('0123xy6789')
  })

  test('removes the layers that a killed process has merged', async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', CHILD, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect((await readRecord()).published.layers).toHaveLength(1)
    expect(await layers()).toHaveLength(5)
    maintain()
    await storage.head('b')

    await expect.poll(onDisk).toBe('xxxxx56789')
    await expect.poll(layers).toEqual([])
  })

  test('keeps the patches that were committed while it copied', async () => {
    await patch(0, '0123456789')
    await patch(1, 'a')
    let isPatched = false
    maintain(storage, async (_key, work) => {
      if (!isPatched) await patch(2, 'b')
      isPatched = true
      return work(() => false)
    })

    await expect.poll(onDisk).toBe('0ab3456789')
    expect(await load()).toBe('0ab3456789')
    await expect.poll(layers).toEqual([])
  })

  test.each(['replaced', 'removed', 'removed by another program'])(
    'discards its copy when the file is %s meanwhile',
    async (how) => {
      await patch(0, '0123456789')
      await patch(1, 'a')
      const isOver = new Promise<void>((resolve) => {
        maintain(storage, async (_key, work) => {
          if (how === 'removed') await storage.remove('a')
          else if (how === 'replaced') {
            const writer = await storage.openWriter('a', { ...ATOMIC, replace: true })
            await writer.write(0, [Buffer.from('new')])
            await writer.commit(FINISHED)
          } else await unlink(path.join(directory, 'a'))
          const result = await work(() => false)
          resolve()
          return result
        })
      })
      await isOver

      const expected = how === 'replaced' ? 'new' : null
      expect(await load()).toBe(expected)
      await expect
        .poll(async () => (await readdir(staging)).filter((name) => name.endsWith('.data')))
        .toEqual([])
    },
  )

  test('changes nothing once the lock was lost', async () => {
    await patch(0, '0123456789')
    await patch(1, 'a')
    const isOver = new Promise<unknown>((resolve) => {
      maintain(storage, async (_key, work) => {
        const result = await work(() => true).catch((error: unknown) => {
          resolve(error)
          throw error
        })
        return result
      })
    })

    expect(await isOver).toMatchObject({ code: 'ERR_CONFLICT' })
    expect(await onDisk()).toBe('0123456789')
    expect(await load()).toBe('0a23456789')
  })

  test('waits for a lock that a request holds', async () => {
    await patch(0, '0123456789')
    await patch(1, 'a')
    let calls = 0
    maintain(storage, async (_key, work) => {
      calls += 1
      return calls < 4 ? null : work(() => false)
    })

    await expect.poll(onDisk).toBe('0a23456789')
    expect(calls).toBe(4)
  })

  test('ends when it is stopped, and leaves the file unchanged', async () => {
    await patch(0, Buffer.alloc(4 * 1024 * 1024, 'a'))
    const slow = open({ rebuildRate: 1 })
    await patch(1, 'b', FINISHED, slow)
    const stop = slow.maintain?.(async (_key, work) => work(() => false))
    await expect
      .poll(async () => (await readdir(staging)).filter((name) => name.endsWith('.data')))
      .toHaveLength(1)
    await stop?.()

    expect((await onDisk()).slice(0, 3)).toBe('aaa')
    expect((await readdir(staging)).filter((name) => name.endsWith('.data'))).toEqual([])
    expect((await load())?.slice(0, 3)).toBe('aba')
  })

  test('keeps the holes of a large file', async () => {
    await patch(0, 'a')
    const writer = await storage.openWriter('a', ATOMIC)
    await writer.write(64 * 1024 * 1024, [Buffer.from('b')])
    await writer.commit(FINISHED)
    maintain()

    const { stat } = await import('node:fs/promises')
    await expect.poll(async () => (await stat(path.join(directory, 'a'))).size).toBe(2 ** 26 + 1)
    expect((await stat(path.join(directory, 'a'))).blocks * 512).toBeLessThan(4 * 1024 * 1024)
  })
})

/** Deterministic random numbers (mulberry32). */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

describe('any sequence of patches beside rebuilds', () => {
  test.each([1, 2, 3])('has the bytes of the same changes to one array (seed %d)', async (seed) => {
    const below = randomNumbers(seed)
    const locker = memoryLocker()
    const fast = open({ fsync: 'never' })
    maintain(fast, withFreeLock(locker))
    let bytes = Buffer.alloc(200_000, 'a')
    await patch(0, bytes, FINISHED, fast)
    for (let step = 0; step < 300; step += 1) {
      const lock = await locker.acquire('a', { wait: 10_000, stall: Number.MAX_SAFE_INTEGER })
      const pinned = below(4) === 0 ? await fast.openReader('a') : null
      const expected = Buffer.from(bytes)
      const replace = below(60) === 0
      const writer = await fast.openWriter('a', { ...ATOMIC, replace })
      if (replace) bytes = Buffer.alloc(0)
      if (below(20) === 0) {
        bytes = bytes.subarray(0, bytes.length - below(bytes.length / 2 + 1))
        await writer.truncate(bytes.length)
      }
      for (let part = 0; part <= below(4); part += 1) {
        const position = below(bytes.length + 100)
        const chunk = Buffer.alloc(1 + below(below(5) === 0 ? 30_000 : 50), 98 + below(20))
        await writer.write(position, [chunk])
        const next = Buffer.alloc(Math.max(bytes.length, position + chunk.length))
        bytes.copy(next)
        chunk.copy(next, position)
        bytes = next
      }
      await writer.commit(FINISHED)
      lock.release()
      const reader = await fast.openReader('a')
      expect(reader?.info.size).toBe(bytes.length)
      expect(reader && (await buffer(reader.read(0, bytes.length))).equals(bytes)).toBe(true)
      await reader?.close()
      if (pinned !== null) {
        const seen = await buffer(pinned.read(0, pinned.info.size))
        expect(seen.equals(expected)).toBe(true)
        await pinned.close()
      }
    }

    await expect.poll(layers).toEqual([])
    expect((await readFile(path.join(directory, 'a'))).equals(bytes)).toBe(true)
  })
})
