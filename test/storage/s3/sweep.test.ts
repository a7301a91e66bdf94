import { describe, expect, it } from 'vitest'

import { BEGUN, FINISHED } from '../../../src/storage/contract/check.ts'
import { FakeBucket } from '../../support/s3/fake-bucket.ts'
import { smallStore } from '../../support/s3/small-store.ts'

const DAY = 86_400_000
const OPTIONS = { transaction: 'persist', replace: false, initial: BEGUN } as const
const LARGE = Buffer.alloc(400_000, 'x')
const NO_HEADERS = { contentType: null, contentDisposition: null, metadata: {} }

describe('a sweep', () => {
  it('deletes data objects that no record names, once they are old', async () => {
    const { bucket, clock } = pastBucket()
    const storage = smallStore(bucket)
    const killed = await storage.openWriter('killed', { ...OPTIONS, transaction: 'atomic' })
    await killed.write(0, [LARGE])
    const upload = await storage.openWriter('upload', OPTIONS)
    await upload.write(0, [LARGE])
    await upload.keep()
    await expect.poll(() => dataObjects(bucket)).toHaveLength(7)
    clock.now = Date.now()
    const young = await storage.openWriter('young', { ...OPTIONS, transaction: 'atomic' })
    await young.write(0, [LARGE])
    await expect.poll(() => dataObjects(bucket)).toHaveLength(10)

    await storage.sweep?.()

    expect(dataObjects(bucket)).toHaveLength(7)
    expect(await storage.head('upload')).toMatchObject({ size: 400_000 })
    await young.commit(FINISHED)
    expect(await storage.head('young')).toMatchObject({ size: 400_000, complete: true })
  })

  it('removes old tombstones and void records, and leaves young ones', async () => {
    const { bucket, clock } = pastBucket()
    const storage = smallStore(bucket)
    await store(storage, 'removed')
    await storage.remove('removed')
    const upload = await storage.openWriter('void', OPTIONS)
    await upload.write(0, [Buffer.from('abc')])
    await upload.keep()
    await bucket.put('files/void', [Buffer.from('foreign')])
    clock.now = Date.now()
    await store(storage, 'young')
    await storage.remove('young')

    await storage.sweep?.()

    expect(records(bucket)).toEqual(['young'])
    expect(await storage.head('void')).toMatchObject({ size: 7 })
  })

  it('deletes a removed object that a delayed request has brought back', async () => {
    const { bucket, clock } = pastBucket()
    const storage = smallStore(bucket)
    bucket.faults.add({ operation: 'put', key: 'files/a', skip: 1 }, { kind: 'duplicate' })
    await store(storage, 'a')
    await storage.remove('a')
    bucket.faults.deliver()
    expect(bucket.keys()).toContain('files/a')
    clock.now = Date.now()

    await storage.sweep?.()

    expect(bucket.keys()).toEqual([])
    expect(await storage.head('a')).toBeNull()
  })

  it('publishes a small file and aborts a large one that a killed process has left', async () => {
    const { bucket, clock } = pastBucket()
    const storage = smallStore(bucket)
    bucket.faults.add({ operation: 'put', key: 'files/small', skip: 1 }, { kind: 'hang' })
    bucket.faults.add({ operation: 'completeMultipart' }, { kind: 'hang' })
    void store(storage, 'small').catch(() => undefined)
    void store(storage, 'large', LARGE).catch(() => undefined)
    await expect.poll(() => records(bucket)).toEqual(['large', 'small'])
    clock.now = Date.now()

    await storage.sweep?.()

    expect(await storage.head('small')).toMatchObject({ complete: true })
    expect(await storage.head('large')).toBeNull()
    expect(records(bucket)).toEqual([])
    expect(bucket.openUploads()).toEqual([])
  })

  it('aborts old multipart uploads under its own prefix only', async () => {
    const { bucket, clock } = pastBucket()
    await bucket.createMultipart('files/a', NO_HEADERS)
    const foreign = await bucket.createMultipart('other/a', NO_HEADERS)
    clock.now = Date.now()
    const young = await bucket.createMultipart('files/a', NO_HEADERS)

    await smallStore(bucket).sweep?.()

    expect(bucket.openUploads()).toEqual([foreign, young])
  })
})

describe('a sweep of a storage without a prefix', () => {
  it('aborts no multipart upload that another program may have begun', async () => {
    const { bucket, clock } = pastBucket()
    const foreign = await bucket.createMultipart('backup.tar', NO_HEADERS)
    await bucket.createMultipart('.partial-upload/d/folder/name', NO_HEADERS)
    clock.now = Date.now()

    await smallStore(bucket, {}, '').sweep?.()

    expect(bucket.openUploads()).toEqual([foreign])
  })

  it('aborts the multipart upload that the record of a killed process names', async () => {
    const { bucket, clock } = pastBucket()
    const storage = smallStore(bucket, {}, '')
    bucket.faults.add({ operation: 'completeMultipart' }, { kind: 'hang' })
    void store(storage, 'large', LARGE).catch(() => undefined)
    await expect.poll(() => bucket.keys()).toContain('.partial-upload/r/large')
    clock.now = Date.now()

    await storage.sweep?.()

    expect(bucket.openUploads()).toEqual([])
  })
})

/** Creates a bucket whose clock is two days slow at first, so that its objects are old later. */
function pastBucket() {
  const clock = { now: Date.now() - 2 * DAY }
  const bucket = new FakeBucket({ minPartSize: 65_536, pageSize: 2, now: () => clock.now })
  return { bucket, clock }
}

async function store(
  storage: ReturnType<typeof smallStore>,
  key: string,
  bytes = Buffer.from('abc'),
): Promise<void> {
  const writer = await storage.openWriter(key, { ...OPTIONS, transaction: 'atomic' })
  await writer.write(0, [bytes])
  await writer.commit(FINISHED)
}

function dataObjects(bucket: FakeBucket): readonly string[] {
  return bucket.keys().filter((key) => key.startsWith('.partial-upload/d/'))
}

function records(bucket: FakeBucket): readonly string[] {
  const prefix = '.partial-upload/r/files/'
  return bucket
    .keys()
    .filter((key) => key.startsWith(prefix))
    .map((key) => key.slice(prefix.length))
}
