/** Uploads with many times the number of extents and parts that the store allows. */
import { describe, expect, it } from 'vitest'

import type { StorageAdapter } from '../../../src/storage/adapter.ts'
import { BEGUN, FINISHED } from '../../../src/storage/contract/check.ts'
import { BucketError } from '../../../src/storage/s3/bucket.ts'
import { parseRecord } from '../../../src/storage/s3/record.ts'
import { FakeBucket } from '../../support/s3/fake-bucket.ts'
import { smallStore } from '../../support/s3/small-store.ts'

const OPTIONS = { transaction: 'persist', replace: false, initial: BEGUN } as const
const PART = 2048
/** The store refuses an object with more parts. */
const MAX_PARTS = 100
/** Extents of an upload while it is written: at most four tenths of the parts, and some blocks. */
const FEW = 50

describe('an upload with six times the parts that an object may have', () => {
  const content = pattern(6 * MAX_PARTS * PART + 500)

  it.each(['persist', 'atomic'] as const)('is finished in one %s write', async (transaction) => {
    const bucket = limited()
    const storage = store(bucket)
    const writer = await storage.openWriter('a', { ...OPTIONS, transaction })

    for (let start = 0; start < content.length; start += PART)
      await writer.write(start, [content.subarray(start, start + PART)])
    await writer.commit(FINISHED)

    expect(bucket.bytes('files/a')?.equals(content)).toBe(true)
  })

  it('is finished although each writer is killed, and its record stays short', async () => {
    const bucket = limited()
    const lives = 25

    for (let life = 1; life <= lives; life += 1) {
      // A new storage is a new process. The writer of the process before has not ended.
      const writer = await store(bucket).openWriter('a', OPTIONS)
      const end = Math.floor((life * content.length) / lives)
      for (let at = writer.base?.size ?? 0; at < end; at += PART)
        await writer.write(at, [content.subarray(at, Math.min(at + PART, end))])
      await writer.flush?.()
      expect(extents(bucket)).toBeLessThan(FEW)
    }
    const last = await store(bucket).openWriter('a', OPTIONS)
    await last.commit(FINISHED)

    expect(bucket.bytes('files/a')?.equals(content)).toBe(true)
  })

  it('has a short record after each of many requests', async () => {
    const bucket = limited()
    const segment = 2 * PART

    for (let start = 0; start < content.length; start += segment) {
      const writer = await store(bucket).openWriter('a', OPTIONS)
      await writer.write(start, [content.subarray(start, start + segment)])
      await writer.commit(BEGUN)
      expect(extents(bucket)).toBeLessThan(FEW)
    }
    const reader = await store(bucket).openReader('a')
    const read: Uint8Array[] = []
    for await (const chunk of reader?.read(0, content.length) ?? []) read.push(chunk)
    expect(Buffer.concat(read).equals(content)).toBe(true)
    const last = await store(bucket).openWriter('a', OPTIONS)
    await last.commit(FINISHED)

    expect(bucket.bytes('files/a')?.equals(content)).toBe(true)
  })

  it('keeps bytes that are overwritten or truncated while their objects are merged', async () => {
    const bucket = limited()
    const expected = Buffer.from(content)
    const writer = await store(bucket).openWriter('a', { ...OPTIONS, transaction: 'atomic' })

    for (let start = 0; start < content.length; start += PART) {
      await writer.write(start, [content.subarray(start, start + PART)])
      const earlier = Math.floor(start / 3)
      await writer.write(earlier, [Buffer.from('changed')])
      expected.write('changed', earlier)
    }
    await writer.truncate(content.length - PART)
    await writer.commit(FINISHED)

    expect(bucket.bytes('files/a')?.equals(expected.subarray(0, -PART))).toBe(true)
  })

  it('can be patched at more places than an object has parts', async () => {
    const bucket = limited()
    const storage = store(bucket)
    await put(storage, content)
    const expected = Buffer.from(content)
    const writer = await storage.openWriter('a', { ...OPTIONS, transaction: 'atomic' })

    for (let start = 0; start < content.length; start += 3 * PART) {
      await writer.write(start, [Buffer.from('patch')])
      expected.write('patch', start)
    }
    await writer.commit(FINISHED)

    expect(bucket.bytes('files/a')?.equals(expected)).toBe(true)
  })
})

describe('a merge that fails', () => {
  it('does not end the upload', async () => {
    const bucket = limited()
    const content = pattern(60 * PART)
    bucket.faults.add(
      { operation: 'createMultipart' },
      {
        kind: 'error',
        error: new BucketError('denied', 'AccessDenied'),
      },
    )

    await put(store(bucket), content)

    expect(bucket.bytes('files/a')?.equals(content)).toBe(true)
  })
})

function limited(): FakeBucket {
  return new FakeBucket({ minPartSize: 1024, maxParts: MAX_PARTS })
}

function store(bucket: FakeBucket): StorageAdapter {
  const sizes = { partSize: PART, minPartSize: 1024, maxCopySize: 4 * PART, maxInline: 100 }
  return smallStore(bucket, { ...sizes, maxParts: MAX_PARTS, flushAfter: 3_600_000 })
}

async function put(storage: StorageAdapter, content: Buffer): Promise<void> {
  const writer = await storage.openWriter('a', { ...OPTIONS, transaction: 'atomic' })
  for (let start = 0; start < content.length; start += PART)
    await writer.write(start, [content.subarray(start, start + PART)])
  await writer.commit(FINISHED)
}

/** Number of extents in the record of the upload. */
function extents(bucket: FakeBucket): number {
  const bytes = bucket.bytes('.partial-upload/r/files/a')
  return parseRecord(bytes ?? Buffer.alloc(0)).record.content?.extents.length ?? 0
}

function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE((at * 2_654_435_761) >>> 0, at)
  return bytes
}
