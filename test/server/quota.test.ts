/** The limits for incomplete uploads of one owner, in every store. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { fsStorage } from 'partial-upload/storage/fs'
import { memoryStorage } from 'partial-upload/storage/memory'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import type { ListableStorage } from '../../src/server/quota-account.ts'
import { withQuota } from '../../src/server/quota.ts'
import type {
  ResourceState,
  StorageAdapter,
  Transaction,
  Writer,
} from '../../src/storage/adapter.ts'

const LIMITS = { maxIncompletePerOwner: 2, maxIncompleteBytesPerOwner: 100 }
const TOO_MANY = { code: 'ERR_TOO_MANY_UPLOADS', status: 429, headers: { 'Retry-After': '60' } }
const TOO_LARGE = { code: 'ERR_QUOTA', status: 507 }

describe.each(['memory', 'fs'] as const)('an owner in %s', (kind) => {
  let directory = ''
  let plain: ListableStorage
  let storage: StorageAdapter

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'quota-'))
    plain = listable(kind === 'fs' ? fsStorage({ directory }) : memoryStorage())
    storage = withQuota(plain, LIMITS)
  })
  afterEach(async () => {
    vi.restoreAllMocks()
    await rm(directory, { recursive: true })
  })

  it('may have incomplete resources up to the limit', async () => {
    await begin('a', 10)
    await begin('b', 10)

    await expect(begin('c', 10)).rejects.toMatchObject({ ...TOO_MANY, members: { limit: 2 } })
    expect(await storage.head('c')).toBeNull()
    await expect(begin('c', 10, 'bob')).resolves.toBeUndefined()
    await expect(begin('d', 10, null)).resolves.toBeUndefined()
  })

  it('may continue its uploads at the limit', async () => {
    await begin('a', 50)
    await begin('b', 50)

    await write('a', 3, 'def', { ...state(50), complete: false })

    expect(await storage.head('a')).toMatchObject({ size: 6, owner: 'ann' })
  })

  it('has room again when one is finished or removed', async () => {
    await begin('a', 10)
    await begin('b', 10)

    await write('a', 3, 'defghij', { ...state(10), complete: true, everComplete: true })
    await begin('c', 10)
    await storage.remove('b')
    await begin('d', 10)

    await expect(begin('e', 10)).rejects.toMatchObject(TOO_MANY)
  })

  it('has room again when another process has removed one', async () => {
    await begin('a', 10)
    await begin('b', 10)
    await plain.remove('a')
    vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 2000)

    await expect(begin('c', 10)).resolves.toBeUndefined()
  })

  it.each(['keep', 'rollback'] as const)(
    'has room again after a failed %s, even where the storage could not be read',
    async (step) => {
      const failure = new Error('the disk is broken')
      storage = withQuota(failingAfter(plain, step, failure), LIMITS)
      letTimePass()

      for (const key of ['a', 'b', 'c', 'd']) {
        const writer = await open(key, 10)
        await writer.write(0, [Buffer.from('abc')])
        await expect(writer[step]()).rejects.toBe(failure)
        await plain.remove(key)
      }

      const writer = await open('e', 10)
      await expect(writer.write(0, [Buffer.from('abc')])).resolves.toBeUndefined()
    },
  )

  it('that is refused repeatedly makes only its own uploads be read', async () => {
    for (const key of ['x', 'y', 'z']) await begin(key, 10, key)
    await begin('a', 10)
    await begin('b', 10)
    const list = vi.spyOn(plain, 'listIncomplete')
    const head = vi.spyOn(plain, 'head')
    letTimePass()

    for (const key of ['c', 'd']) await expect(begin(key, 10)).rejects.toMatchObject(TOO_MANY)

    expect(list).not.toHaveBeenCalled()
    const keys = new Set(head.mock.calls.map(([key]) => key))
    expect([...keys].filter((key) => ['x', 'y', 'z'].includes(key))).toEqual([])
  })

  it('is charged in time for uploads in another process', async () => {
    await begin('a', 10)
    await begin('b', 10, 'ann', withQuota(plain, LIMITS))
    vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 3_600_000)

    await begin('x', 10, 'bob')

    await vi.waitFor(async () => {
      const begun = begin('c', 10)
      await begun.then(
        () => storage.remove('c'),
        () => undefined,
      )
      await expect(begun).rejects.toMatchObject(TOO_MANY)
    })
  })

  it('may announce as many bytes as its quota, and no more', async () => {
    await begin('a', 60)

    await expect(begin('b', 41)).rejects.toMatchObject({
      ...TOO_LARGE,
      members: { limit: 100, used: 60 },
    })
    await expect(begin('b', 40)).resolves.toBeUndefined()
  })

  it('is limited by arriving bytes where it announces no length', async () => {
    await begin('a', 60)
    const writer = await open('b', null)

    await writer.write(0, [Buffer.alloc(30)])
    await expect(writer.write(30, [Buffer.alloc(11)])).rejects.toMatchObject(TOO_LARGE)
    await writer.keep()

    expect(await storage.head('b')).toMatchObject({ size: 30, complete: false })
  })

  it('is limited by a length that it announces later', async () => {
    await begin('a', 60)
    await begin('b', null)

    const announced = write('b', 3, '', { ...state(41), complete: false })

    await expect(announced).rejects.toMatchObject(TOO_LARGE)
    expect(await storage.head('b')).toMatchObject({ completeLength: null })
  })

  it('is charged for uploads from before the start of the process', async () => {
    await begin('a', 60)
    await begin('b', 10)

    storage = withQuota(plain, LIMITS)

    await expect(begin('c', 10)).rejects.toMatchObject(TOO_MANY)
  })

  it('that races does not exceed its quota', async () => {
    const begun = ['a', 'b', 'c', 'd', 'e'].map((key) => begin(key, 10))

    const results = await Promise.allSettled(begun)

    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(2)
  })

  it('is not charged for an upload that is rolled back', async () => {
    for (const key of ['a', 'b', 'c', 'd']) {
      const writer = await open(key, 90)
      await writer.write(0, [Buffer.from('abc')])
      await writer.rollback()
    }

    await expect(begin('e', 100)).resolves.toBeUndefined()
  })

  it('is limited when it starts a finished resource over', async () => {
    await begin('a', 90)
    await write('f', 0, 'abc', { ...state(3), complete: true, everComplete: true }, 'bob')

    const writer = await storage.openWriter('f', {
      transaction: 'atomic',
      replace: true,
      initial: state(50),
    })

    await expect(writer.write(0, [Buffer.from('x')])).rejects.toMatchObject(TOO_LARGE)
    await writer.rollback()
    expect(await storage.head('f')).toMatchObject({ complete: true, size: 3 })
  })

  it('may change a finished resource without a charge', async () => {
    await begin('a', 100)
    await write('f', 0, 'abc', { ...state(3), complete: true, everComplete: true }, 'bob')

    await write('f', 0, 'xyz', { ...state(3), complete: true, everComplete: true })

    expect(await storage.head('f')).toMatchObject({ complete: true, size: 3 })
  })

  it('can truncate and read as without a quota', async () => {
    const writer = await open('a', null, 'atomic')
    await writer.write(0, [Buffer.from('abcdef')])
    await writer.truncate(4)

    const read: Uint8Array[] = []
    for await (const bytes of writer.read(1, 4)) read.push(bytes)
    await writer.commit({ ...state(null), complete: false })

    expect(Buffer.concat(read).toString()).toBe('bcd')
    expect(await storage.head('a')).toMatchObject({ size: 4 })
  })

  async function begin(
    key: string,
    length: number | null,
    owner: string | null = 'ann',
    through: StorageAdapter = storage,
  ) {
    await write(key, 0, 'abc', state(length, owner), owner, through)
  }

  function open(key: string, length: number | null, transaction: Transaction = 'persist') {
    return storage.openWriter(key, { transaction, replace: false, initial: state(length) })
  }

  async function write(
    key: string,
    position: number,
    text: string,
    final: ResourceState,
    owner: string | null = 'ann',
    through: StorageAdapter = storage,
  ): Promise<void> {
    const initial = state(final.completeLength, owner)
    const writer: Writer = await through.openWriter(key, {
      transaction: 'persist',
      replace: false,
      initial,
    })
    try {
      await writer.write(position, [Buffer.from(text)])
      await writer.commit({ ...final, owner })
    } finally {
      await writer.keep()
    }
  }
})

function state(completeLength: number | null, owner: string | null = 'ann'): ResourceState {
  return {
    complete: false,
    everComplete: false,
    completeLength,
    contentType: null,
    contentDisposition: null,
    reprDigest: null,
    owner,
  }
}

/** Each reading of the clock is two seconds later than the one before. */
function letTimePass(): void {
  let now = performance.now()
  vi.spyOn(performance, 'now').mockImplementation(() => (now += 2000))
}

/**
 * A storage whose writers end and report a failure. The first read of the state after that fails as
 * well.
 */
function failingAfter(
  storage: ListableStorage,
  step: 'keep' | 'rollback',
  failure: Error,
): ListableStorage {
  let isBroken = false
  return {
    ...storage,
    head: async (key) => {
      const wasBroken = isBroken
      isBroken = false
      if (wasBroken) throw failure
      return storage.head(key)
    },
    openWriter: async (key, options) => {
      const writer = await storage.openWriter(key, options)
      const end = writer[step].bind(writer)
      writer[step] = async () => {
        await end()
        isBroken = true
        throw failure
      }
      return writer
    },
  }
}

function listable(storage: StorageAdapter): ListableStorage {
  if (storage.listIncomplete === undefined) throw new Error('the storage can list')
  return storage as ListableStorage
}
