/**
 * Bytes that were never written must read as zeros or not at all, whatever the disk held before.
 */
import { writeFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'

import { describe, expect, test, vi } from 'vitest'

import type {
  OpenWriterOptions,
  ResourceState,
  StorageAdapter,
  Writer,
} from '../../src/storage/adapter.ts'
import { ATOMIC, BEGUN, FINISHED, PERSIST, REPLACE } from '../../src/storage/contract/check.ts'
import { memoryStorage } from '../../src/storage/memory.ts'
import { MULTIPART, message, multipart, MESSAGE, request } from '../support/wire/client.ts'
import { newLoopMount, noPowerCut } from '../support/faults/power-disk.ts'
import { FaultServer, NO_MOUNT, newMount, title } from '../support/faults/server.ts'

const KIB = 1024
const SIZE = 300 * KIB
/** Bytes of earlier resources, on the disk or in memory that later resources use again. */
const OLD = Buffer.alloc(SIZE, 0xaa)

const REOPENED: ResourceState = { ...BEGUN, everComplete: true }

/** Fills the disk, or some memory, with old bytes, and frees it again. */
function prime(directory: string | null): void {
  if (directory === null) {
    const buffers = Array.from({ length: 40 }, () => Buffer.alloc(SIZE, 0xaa))
    expect(buffers.every((bytes) => bytes[SIZE - 1] === 0xaa)).toBe(true)
    return
  }
  const files: string[] = []
  try {
    for (;;) {
      const file = path.join(directory, `fill-${files.length}`)
      files.push(file)
      writeFileSync(file, Buffer.alloc(1024 * KIB, 0xaa), { flush: true })
    }
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' })
  }
  for (const file of files) rmSync(file)
}

/** The bytes of a resource: 1 where a client has written, 0 elsewhere. */
function pattern(size: number, ...written: readonly (readonly [start: number, end: number])[]) {
  const bytes = Buffer.alloc(size)
  for (const [start, end] of written) bytes.fill(1, start, end)
  return bytes
}

function ones(length: number): readonly Buffer[] {
  return [Buffer.alloc(length, 1)]
}

/**
 * One way to make the resource `a` grow, and its bytes afterwards. `next` makes the storage of the
 * next process.
 */
interface Growth {
  readonly name: string
  readonly grow: (storage: StorageAdapter, next: () => Promise<StorageAdapter>) => Promise<unknown>
  readonly bytes: Buffer
}

async function write(
  storage: StorageAdapter,
  options: OpenWriterOptions,
  start: number,
  end: number,
  state: ResourceState,
): Promise<void> {
  const writer = await storage.openWriter('a', options)
  await writer.write(start, ones(end - start))
  await writer.commit(state)
}

/** Stores a finished resource of old bytes. */
async function finishOld(storage: StorageAdapter): Promise<void> {
  const writer = await storage.openWriter('a', PERSIST)
  await writer.write(0, [OLD])
  await writer.commit(FINISHED)
}

/** Writes old bytes to the resource's own file, and truncates it to `size`. */
async function cut(storage: StorageAdapter, size: number, state: ResourceState): Promise<void> {
  const writer = await storage.openWriter('a', ATOMIC)
  await writer.write(0, [OLD])
  await writer.truncate(0)
  await writer.write(0, ones(size))
  await writer.commit(state)
}

const END = SIZE - KIB
const GAP = pattern(SIZE, [0, 1000], [END, SIZE])

const GROWTHS: readonly Growth[] = [
  {
    name: 'an atomic write beyond the end of nothing',
    grow: (storage) => write(storage, ATOMIC, END, SIZE, FINISHED),
    bytes: pattern(SIZE, [END, SIZE]),
  },
  {
    name: 'an atomic write beyond the end of an upload',
    async grow(storage) {
      await write(storage, PERSIST, 0, 1000, BEGUN)
      await write(storage, ATOMIC, END, SIZE, BEGUN)
    },
    bytes: GAP,
  },
  {
    name: 'an atomic write beyond the end of a finished resource',
    async grow(storage) {
      await write(storage, PERSIST, 0, 1000, FINISHED)
      await write(storage, ATOMIC, END, SIZE, FINISHED)
    },
    bytes: GAP,
  },
  {
    name: 'a cut, and a write beyond the end in the same transaction',
    async grow(storage) {
      const writer = await storage.openWriter('a', ATOMIC)
      await writer.write(0, [OLD])
      await writer.truncate(0)
      await writer.write(0, ones(1000))
      await writer.write(END, ones(KIB))
      await writer.commit(FINISHED)
    },
    bytes: GAP,
  },
  {
    name: 'a cut of a finished resource, then a write beyond the end',
    async grow(storage) {
      await cut(storage, 1000, FINISHED)
      await write(storage, ATOMIC, END, SIZE, FINISHED)
    },
    bytes: GAP,
  },
  {
    name: 'a cut of an upload, then a write beyond the end',
    async grow(storage) {
      await cut(storage, 1000, BEGUN)
      await write(storage, ATOMIC, END, SIZE, BEGUN)
    },
    bytes: GAP,
  },
  {
    name: 'an append that is taken back, then a write beyond the end',
    async grow(storage) {
      await write(storage, PERSIST, 0, 1000, BEGUN)
      const writer = await storage.openWriter('a', PERSIST)
      await writer.write(1000, [OLD])
      await writer.rollback()
      await write(storage, ATOMIC, END, SIZE, BEGUN)
    },
    bytes: GAP,
  },
  {
    name: 'an append that is cut in the middle, then one to its end',
    async grow(storage) {
      const writer = await storage.openWriter('a', PERSIST)
      await writer.write(0, [OLD])
      await writer.truncate(1000)
      await writer.write(1000, ones(KIB))
      await writer.commit(BEGUN)
    },
    bytes: Buffer.concat([OLD.subarray(0, 1000), ...ones(KIB)]),
  },
  {
    name: 'a finished resource that is replaced by less, opened again and written beyond its end',
    async grow(storage) {
      await finishOld(storage)
      await write(storage, REPLACE, 0, 1000, FINISHED)
      const reopened = await storage.openWriter('a', ATOMIC)
      await reopened.commit(REOPENED)
      await write(storage, ATOMIC, END, SIZE, REOPENED)
    },
    bytes: GAP,
  },
  {
    name: 'a resource that was removed and made again',
    async grow(storage) {
      await finishOld(storage)
      await storage.remove('a')
      await write(storage, ATOMIC, END, SIZE, FINISHED)
    },
    bytes: pattern(SIZE, [END, SIZE]),
  },
]

/** Atomic writes in which a process dies, and which the next process finds incomplete. */
const CRASHES: readonly Growth[] = [
  {
    name: 'an atomic append that a crash has cut, then a write beyond the end',
    async grow(storage, next) {
      await write(storage, PERSIST, 0, 1000, BEGUN)
      await abandon(await storage.openWriter('a', ATOMIC), 1000)
      await write(await next(), ATOMIC, END, SIZE, BEGUN)
    },
    bytes: GAP,
  },
  {
    name: 'an atomic write beyond the end that a crash has cut, then an append',
    async grow(storage, next) {
      await write(storage, PERSIST, 0, 1000, BEGUN)
      await abandon(await storage.openWriter('a', ATOMIC), END)
      await write(await next(), PERSIST, 1000, 2000, BEGUN)
    },
    bytes: pattern(2000, [0, 2000]),
  },
]

/**
 * Writers that are never ended. The reference keeps the garbage collector from closing their files.
 */
const abandoned: Writer[] = []

async function abandon(writer: Writer, position: number): Promise<void> {
  abandoned.push(writer)
  await writer.write(position, [OLD])
}

async function load(storage: StorageAdapter): Promise<Buffer> {
  const reader = await storage.openReader('a')
  if (reader === null) throw new Error('there is no resource')
  const bytes = await buffer(reader.read(0, reader.info.size))
  await reader.close()
  return bytes
}

/** Makes a storage that shares nothing with the others but the files, as in another process. */
async function elsewhere(directory: string): Promise<StorageAdapter> {
  vi.resetModules()
  const { fsStorage } = await import('../../src/storage/fs.ts')
  return fsStorage({ directory })
}

interface Ground {
  readonly name: string
  readonly missing: string | null
  /** Makes the directory of the storage; null for memoryStorage. */
  readonly create: () => string | null
  readonly growths: readonly Growth[]
}

const GROUNDS: readonly Ground[] = [
  { name: 'memoryStorage', missing: null, create: () => null, growths: GROWTHS },
  {
    name: 'fsStorage on tmpfs',
    missing: NO_MOUNT,
    create: () => newMount('size=8m'),
    growths: [...GROWTHS, ...CRASHES],
  },
  {
    name: 'fsStorage on ext4',
    missing: noPowerCut('ext4'),
    create: () => newLoopMount('ext4', 12),
    growths: [...GROWTHS, ...CRASHES],
  },
  {
    name: 'fsStorage on xfs',
    missing: noPowerCut('xfs'),
    create: () => newLoopMount('xfs', 300),
    growths: [...GROWTHS, ...CRASHES],
  },
]

describe.each(GROUNDS)('in $name', ({ missing, create, growths }) => {
  test.skipIf(missing !== null)(
    title('a resource that grows never shows bytes that were not written', missing),
    { timeout: 120_000 },
    async () => {
      const directory = create()
      prime(directory)
      const memory = memoryStorage()
      const next = async () => (directory === null ? memory : elsewhere(directory))

      for (const { name, grow, bytes } of growths) {
        const storage = await next()
        await grow(storage, next)
        const stored = await load(storage)

        expect([name, stored.length]).toEqual([name, bytes.length])
        if (!stored.equals(bytes)) throw new Error(`${name}: other bytes than were written`)
        await storage.remove('a')
      }
    },
  )
})

test.skipIf(NO_MOUNT !== null)(title('a gap is never visible over HTTP', NO_MOUNT), async () => {
  const directory = newMount('size=8m')
  prime(directory)
  const server = await FaultServer.start({ directory })
  const target = '/files/a'
  await server.patch(target, 'bytes 0-3/*', 'abcd')

  const gap = await server.send('PATCH', target, [MULTIPART], multipart(['bytes 9-9/*', 'j']))
  const cutOff = await server.connect()
  const parts = multipart(['bytes 8-9/10', 'ij'], ['bytes 4-7/10', 'efgh'])
  const bytes = request('PATCH', target, [MULTIPART], parts)
  cutOff.send(bytes.subarray(0, bytes.length - 20)).close()
  const seen = [await server.send('GET', target)]
  await server.send('PATCH', target, [MESSAGE], message('bytes */10'))
  seen.push(await server.send('GET', target))
  const filled = await server.send('PATCH', target, [MULTIPART], parts)
  const whole = await server.send('GET', target)
  await server.patch(target, 'bytes */2')
  await server.patch(target, 'bytes */5000')
  const reopened = await server.send('GET', target)

  expect(gap.status).toBe(409)
  expect(seen.map(({ body }) => body.toString())).toEqual(['abcd', 'abcd'])
  expect([filled.status, whole.body.toString()]).toEqual([201, 'abcdefghij'])
  expect([reopened.status, reopened.body.toString()]).toEqual([299, 'ab'])
})
