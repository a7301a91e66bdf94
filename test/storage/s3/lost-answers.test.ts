/**
 * Checks the S3 storage while answers of the object store are lost and requests take effect late.
 */
import { describe, expect, it } from 'vitest'

import type { ResourceState, StorageAdapter } from '../../../src/storage/adapter.ts'
import { BEGUN, FINISHED } from '../../../src/storage/contract/check.ts'
import { FakeBucket } from '../../support/s3/fake-bucket.ts'
import type { Aim } from '../../support/s3/faults.ts'
import { smallStore } from '../../support/s3/small-store.ts'

const LARGE = 'large '.repeat(50_000)

/** The requests whose outcome decides what is stored, with the text that is stored. */
const DECISIONS: readonly (readonly [what: string, text: string, aim: Aim])[] = [
  ['the fence of a small file', 'small', { operation: 'put', key: 'r/files/a' }],
  ['the object of a small file', 'small', { operation: 'put', key: 'files/a', skip: 1 }],
  ['the removal of the record', 'small', { operation: 'delete', key: 'r/files/a' }],
  ['a data object', LARGE, { operation: 'put', key: 'd/files/' }],
  ['a part', LARGE, { operation: 'uploadPart' }],
  ['a copied part', LARGE, { operation: 'uploadPartCopy' }],
  ['the fence of a large file', LARGE, { operation: 'put', key: 'r/files/a' }],
  ['the completion of a large file', LARGE, { operation: 'completeMultipart' }],
]

describe('a file is stored once, and with its own bytes,', () => {
  for (const kind of ['refuse', 'lose', 'late', 'duplicate'] as const) {
    it.each(DECISIONS)(`if ${kind} happens to %s`, async (_what, text, aim) => {
      const bucket = newBucket()
      const storage = smallStore(bucket)
      bucket.faults.add(aim, { kind })

      const info = await store(storage, text)

      bucket.faults.deliver()
      expect(await smallStore(bucket).head('a')).toEqual(info)
      expect(await load(smallStore(bucket))).toBe(text)
    })

    it.each(DECISIONS)(`and can be patched if ${kind} happens to %s`, async (_what, text, aim) => {
      const bucket = newBucket()
      await store(smallStore(bucket), text)
      bucket.faults.add({ ...aim, skip: 0 }, { kind })

      await change(smallStore(bucket), 1, 'XYZ', FINISHED)

      bucket.faults.deliver()
      expect(await load(smallStore(bucket))).toBe(`${text[0]}XYZ${text.slice(4)}`)
    })
  }
})

describe('a removed resource stays absent', () => {
  const CREATIONS: readonly (readonly [string, string, Aim])[] = [
    ['a small file', 'small', { operation: 'put', key: 'files/a', skip: 1 }],
    ['the record of an upload', 'small', { operation: 'put', key: 'r/files/a' }],
    ['a large file', LARGE, { operation: 'completeMultipart' }],
  ]

  it.each(CREATIONS)('when the creation of %s takes effect again', async (_what, text, aim) => {
    const bucket = newBucket()
    bucket.faults.add(aim, { kind: 'duplicate' })
    await store(smallStore(bucket), text)
    expect(await smallStore(bucket).remove('a')).toBe(true)

    bucket.faults.deliver()

    expect(await smallStore(bucket).head('a')).toBeNull()
    expect(await list(smallStore(bucket))).toEqual([])
  })

  it.each(CREATIONS)('when the creation of %s repeats after a patch', async (_what, text, aim) => {
    const bucket = newBucket()
    bucket.faults.add(aim, { kind: 'duplicate' })
    await store(smallStore(bucket), text)
    await change(smallStore(bucket), 0, 'X', FINISHED)
    await smallStore(bucket).remove('a')

    bucket.faults.deliver()

    expect(await smallStore(bucket).head('a')).toBeNull()
  })

  it('when its key is used again', async () => {
    const bucket = newBucket()
    bucket.faults.add({ operation: 'put', key: 'files/a', skip: 1 }, { kind: 'duplicate' })
    await store(smallStore(bucket), 'first')
    await smallStore(bucket).remove('a')
    bucket.faults.deliver()

    await store(smallStore(bucket), 'second')

    expect(await load(smallStore(bucket))).toBe('second')
    await smallStore(bucket).remove('a')
    expect(await smallStore(bucket).head('a')).toBeNull()
  })

  it.each(['lose', 'late', 'refuse', 'duplicate'] as const)(
    'if %s happens to the requests of the removal',
    async (kind) => {
      for (const aim of [
        { operation: 'put', key: 'r/files/a' },
        { operation: 'delete', key: 'files/a' },
      ] as const) {
        const bucket = newBucket()
        await store(smallStore(bucket), 'small')
        bucket.faults.add(aim, { kind })

        expect(await smallStore(bucket).remove('a')).toBe(true)

        await store(smallStore(bucket), 'other')
        bucket.faults.deliver()
        expect(await load(smallStore(bucket))).toBe('other')
      }
    },
  )
})

describe('a process that has died', () => {
  it('before it wrote a small file leaves the file to the next writer', async () => {
    const bucket = newBucket()
    bucket.faults.add({ operation: 'put', key: 'files/a', skip: 1 }, { kind: 'hang' })
    void store(smallStore(bucket), 'small').catch(() => undefined)
    await expect.poll(() => bucket.keys()).toContain('.partial-upload/r/files/a')

    expect(await smallStore(bucket).head('a')).toBeNull()
    await change(smallStore(bucket), 0, 'X', FINISHED)

    expect(await load(smallStore(bucket))).toBe('Xmall')
  })

  it('before it completed a large file leaves nothing', async () => {
    const bucket = newBucket()
    bucket.faults.add({ operation: 'completeMultipart' }, { kind: 'hang' })
    void store(smallStore(bucket), LARGE).catch(() => undefined)
    await expect.poll(() => bucket.keys()).toContain('.partial-upload/r/files/a')

    await store(smallStore(bucket), 'other')

    expect(await load(smallStore(bucket))).toBe('other')
    expect(bucket.openUploads()).toEqual([])
  })

  it('after it completed a large file leaves the file', async () => {
    const bucket = newBucket()
    bucket.faults.add({ operation: 'completeMultipart' }, { kind: 'silence' })
    void store(smallStore(bucket), LARGE).catch(() => undefined)
    await expect.poll(() => bucket.keys()).toContain('files/a')

    expect(await load(smallStore(bucket))).toBe(LARGE)
    await change(smallStore(bucket), 0, 'X', FINISHED)

    expect(await load(smallStore(bucket))).toBe(`X${LARGE.slice(1)}`)
  })

  it('lets another process continue its upload at once', async () => {
    const bucket = newBucket()
    const stale = await smallStore(bucket).openWriter('a', options('persist'))
    await stale.write(0, [Buffer.from(LARGE)])
    await stale.flush?.()
    await stale.write(LARGE.length, [Buffer.from('lost')])

    await change(smallStore(bucket), LARGE.length, 'end', FINISHED)

    expect(await load(smallStore(bucket))).toBe(`${LARGE}end`)
    await expect(stale.commit(FINISHED)).rejects.toMatchObject({ code: 'ERR_INTERRUPTED' })
    await stale.keep()
    expect(await load(smallStore(bucket))).toBe(`${LARGE}end`)
  })

  it('in the middle of an upload has recorded the bytes that its client sent before', async () => {
    const bucket = newBucket()
    const silent = await smallStore(bucket, { flushAfter: 10 }).openWriter('a', options('persist'))
    await silent.write(0, [Buffer.from('abc')])

    await expect.poll(() => smallStore(bucket).head('a')).toMatchObject({ size: 3 })

    await silent.write(3, [Buffer.from('def')])
    await expect.poll(() => smallStore(bucket).head('a')).toMatchObject({ size: 6 })
    await silent.rollback()
    expect(await smallStore(bucket).head('a')).toBeNull()
  })
})

describe('two processes', () => {
  it.each(['small', LARGE])('create a resource exactly once', async (text) => {
    for (let round = 0; round < 20; round += 1) {
      const bucket = newBucket()
      const texts = ['A', 'B', 'C', 'D'].map((letter) => letter + text)
      const writers = await Promise.all(
        texts.map(() => smallStore(bucket).openWriter('a', options('atomic'))),
      )
      await Promise.all(
        writers.map((writer, index) => writer.write(0, [Buffer.from(texts[index] ?? '')])),
      )

      const results = await Promise.allSettled(writers.map((writer) => writer.commit(FINISHED)))

      const won = results.flatMap(({ status }, index) => (status === 'fulfilled' ? [index] : []))
      expect(won).toHaveLength(1)
      expect(await load(smallStore(bucket))).toBe(texts[won[0] ?? -1])
      for (const result of results) {
        if (result.status === 'rejected')
          expect(result.reason).toMatchObject({ code: 'ERR_CONFLICT' })
      }
    }
  })

  it('see the object of another tool instead of an upload', async () => {
    const bucket = newBucket()
    await change(smallStore(bucket), 0, 'upload', BEGUN)
    const writer = await smallStore(bucket).openWriter('a', options('persist'))
    await bucket.put('files/a', [Buffer.from('foreign')], { contentType: 'text/plain' })

    expect(await smallStore(bucket).head('a')).toMatchObject({
      complete: true,
      size: 7,
      contentType: 'text/plain',
    })
    await writer.write(6, [Buffer.from('more')])
    await expect(writer.commit(FINISHED)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    await writer.keep()
    expect(await load(smallStore(bucket))).toBe('foreign')
    await change(smallStore(bucket), 0, 'F', FINISHED)
    expect(await load(smallStore(bucket))).toBe('Foreign')
  })
})

describe('a store that keeps failing', () => {
  it('is reported as full, and keeps what was acknowledged', async () => {
    const bucket = new FakeBucket({ minPartSize: 65_536, capacity: 200_000 })
    const storage = smallStore(bucket)
    const writer = await storage.openWriter('a', options('persist'))
    await writer.write(0, [Buffer.from(LARGE.slice(0, 100_000))])
    await writer.flush?.()

    const more = async (): Promise<unknown> => {
      await writer.write(100_000, [Buffer.from(LARGE)])
      return writer.commit(FINISHED)
    }
    await expect(more()).rejects.toMatchObject({ code: 'ERR_STORAGE_FULL', status: 507 })
    await writer.keep().catch(() => undefined)

    expect(await load(storage)).toBe(LARGE.slice(0, 100_000))
  })

  it('is reported as unavailable, without its own message', async () => {
    const bucket = newBucket()
    bucket.faults.add({ operation: 'head', times: 100 }, { kind: 'refuse' })

    await expect(smallStore(bucket).head('a')).rejects.toMatchObject({
      code: 'ERR_STORAGE_UNAVAILABLE',
      status: 503,
      headers: { 'Retry-After': '5' },
      cause: { name: 'BucketError' },
    })
  })

  it('does not undo a fence whose version may still be published', async () => {
    const bucket = newBucket()
    bucket.faults.add({ operation: 'put', key: 'files/a', skip: 1, times: 6 }, { kind: 'late' })
    await expect(store(smallStore(bucket), 'small')).rejects.toMatchObject({
      code: 'ERR_STORAGE_UNAVAILABLE',
    })

    await change(smallStore(bucket), 0, 'X', FINISHED)
    bucket.faults.deliver()

    expect(await load(smallStore(bucket))).toBe('Xmall')
  })
})

function newBucket(): FakeBucket {
  return new FakeBucket({ minPartSize: 65_536 })
}

function options(transaction: 'persist' | 'atomic') {
  return { transaction, replace: false, initial: BEGUN } as const
}

async function store(storage: StorageAdapter, text: string) {
  const writer = await storage.openWriter('a', { ...options('atomic'), replace: true })
  await writer.write(0, [Buffer.from(text)])
  return writer.commit(FINISHED)
}

async function change(
  storage: StorageAdapter,
  position: number,
  text: string,
  state: ResourceState,
): Promise<void> {
  const writer = await storage.openWriter('a', options('persist'))
  await writer.write(position, [Buffer.from(text)])
  await writer.commit(state)
}

async function load(storage: StorageAdapter): Promise<string | null> {
  const reader = await storage.openReader('a')
  if (reader === null) return null
  const chunks: Uint8Array[] = []
  for await (const chunk of reader.read(0, reader.info.size)) chunks.push(chunk)
  await reader.close()
  return Buffer.concat(chunks).toString()
}

async function list(storage: StorageAdapter): Promise<readonly string[]> {
  const keys: string[] = []
  for await (const key of storage.listIncomplete?.() ?? []) keys.push(key)
  return keys
}
