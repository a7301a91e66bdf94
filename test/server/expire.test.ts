import { mkdtemp, rm, utimes, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { expireIncomplete, expireRegularly } from '../../src/server/expire.ts'
import { lockerOf } from '../../src/storage/lock.ts'
import type { ResourceState, StorageAdapter } from '../../src/storage/adapter.ts'
import { BEGUN } from '../../src/storage/contract/check.ts'
import { fsStorage } from '../../src/storage/fs.ts'
import { memoryStorage } from '../../src/storage/memory.ts'

const HOUR = 3_600_000
const INCOMPLETE: ResourceState = { ...BEGUN, completeLength: 10 }
const COMPLETE: ResourceState = { ...INCOMPLETE, complete: true, everComplete: true }

describe.each(['memory', 'fs'] as const)('uploads in %s', (kind) => {
  let directory = ''
  let storage: StorageAdapter

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'expire-'))
    storage = kind === 'fs' ? fsStorage({ directory }) : memoryStorage()
    await put('given-up', INCOMPLETE)
    await put('finished', COMPLETE)
  })
  afterEach(() => rm(directory, { recursive: true }))

  async function put(key: string, state: ResourceState): Promise<void> {
    const writer = await storage.openWriter(key, {
      transaction: 'persist',
      replace: false,
      initial: INCOMPLETE,
    })
    await writer.write(0, [Buffer.from('abc')])
    await writer.commit(state)
    // A whole moment: what is older than 0 ms must have been there for some.
    const { lastModified } = (await storage.head(key)) ?? {}
    while (Date.now() <= Number(lastModified) + 2);
  }

  it('that are too old are removed, and finished files stay', async () => {
    expect(await expireIncomplete({ storage, expireAfter: 0 })).toEqual(['given-up'])

    expect(await storage.head('given-up')).toBeNull()
    expect(await storage.head('finished')).toMatchObject({ complete: true })
  })

  it('that are young enough stay', async () => {
    expect(await expireIncomplete({ storage, expireAfter: HOUR })).toEqual([])

    expect(await storage.head('given-up')).toMatchObject({ size: 3 })
  })

  it('are returned but not removed in a dry run', async () => {
    expect(await expireIncomplete({ storage, expireAfter: 0, dryRun: true })).toEqual(['given-up'])

    expect(await storage.head('given-up')).toMatchObject({ size: 3 })
  })

  it('with a writer stay', async () => {
    const lock = await lockerOf(storage).acquire('given-up', { wait: 0, stall: 0 })
    lock.idle()

    expect(await expireIncomplete({ storage, expireAfter: 0 })).toEqual([])

    expect(lock.isRevoked).toBe(false)
    lock.release()
    expect(await expireIncomplete({ storage, expireAfter: 0 })).toEqual(['given-up'])
  })

  it.runIf(kind === 'fs')('expire after their last byte', async () => {
    const hidden = path.join(directory, '.partial-upload')
    for (const name of await readdir(hidden)) {
      if (name.endsWith('.data')) await utimes(path.join(hidden, name), 0, 0)
    }

    // The record is young: it was written with the first segment.
    expect(await expireIncomplete({ storage, expireAfter: HOUR })).toEqual([])
  })

  it('refuse the option by its name of version 0.1.0', async () => {
    const options = { storage, olderThan: HOUR, expireAfter: HOUR }

    await expect(expireIncomplete(options)).rejects.toThrow(
      new TypeError('olderThan is not an option: use expireAfter'),
    )
  })

  it.each([-1, Number.NaN])('refuse an age of %d', async (expireAfter) => {
    await expect(expireIncomplete({ storage, expireAfter })).rejects.toThrow(TypeError)
  })
})

describe('uploads that expire regularly', () => {
  it('are removed repeatedly until stopped', async () => {
    const storage = memoryStorage()
    const stop = expireRegularly({ storage, expireAfter: 20 }, fail)

    for (const key of ['a', 'b']) {
      await begin(storage, key)
      await expect.poll(async () => storage.head(key)).toBeNull()
    }
    stop()
    await begin(storage, 'c')
    await passed(60)

    expect(await storage.head('c')).toMatchObject({ size: 3 })
  })

  it('are removed in the next run after a failed one', async () => {
    const storage = memoryStorage()
    const errors: unknown[] = []
    const failure = new Error('not now')
    await begin(storage, 'a')
    vi.spyOn(storage, 'listIncomplete').mockImplementationOnce(() => {
      throw failure
    })

    const stop = expireRegularly({ storage, expireAfter: 20 }, (error) => errors.push(error))

    await expect.poll(async () => storage.head('a')).toBeNull()
    expect(errors).toEqual([failure])
    stop()
  })

  it('are followed by a sweep of the storage, in each run', async () => {
    const errors: unknown[] = []
    const failure = new Error('not now')
    const sweep = vi
      .fn<() => Promise<void>>()
      .mockRejectedValueOnce(failure)
      .mockResolvedValue(undefined)
    const storage: StorageAdapter = { ...memoryStorage(), sweep }

    const stop = expireRegularly({ storage, expireAfter: 20 }, (error) => errors.push(error))

    await expect.poll(() => sweep.mock.calls.length).toBeGreaterThan(1)
    expect(errors).toEqual([failure])
    stop()
  })

  async function begin(storage: StorageAdapter, key: string): Promise<void> {
    const writer = await storage.openWriter(key, {
      transaction: 'persist',
      replace: false,
      initial: INCOMPLETE,
    })
    await writer.write(0, [Buffer.from('abc')])
    await writer.keep()
  }
})

it('of a storage that does not list them are an error', async () => {
  const storage = memoryStorage()
  Reflect.deleteProperty(storage, 'listIncomplete')

  await expect(expireIncomplete({ storage, expireAfter: 0 })).rejects.toThrow('listIncomplete')
})

function fail(error: unknown): never {
  throw error
}

/** Time is what these tests are about. */
function passed(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds)
  })
}
