/** States that do not fit into the metadata of an object, of which S3 allows 2 KiB. */
import { describe, expect, it } from 'vitest'

import { BEGUN, FINISHED } from '../../../src/storage/contract/check.ts'
import type { ResourceState, StorageAdapter } from '../../../src/storage/adapter.ts'
import { FakeBucket } from '../../support/s3/fake-bucket.ts'
import { smallStore } from '../../support/s3/small-store.ts'

const DAY = 86_400_000
const LONG: ResourceState = {
  ...FINISHED,
  contentType: `text/plain; note="${'t'.repeat(3000)}"`,
  contentDisposition: `attachment; filename*=UTF-8''${'%C3%A4'.repeat(500)}.txt`,
  reprDigest: 'sha-256=:AAAA:',
  owner: 'ö'.repeat(1000),
}

describe.each([
  ['small', Buffer.from('abc')],
  ['large', Buffer.alloc(400_000, 'x')],
])('a %s file with a long type, name and owner', (_size, bytes) => {
  it('has them on every server', async () => {
    const bucket = new FakeBucket({ minPartSize: 65_536 })
    const written = await store(smallStore(bucket), 'a', bytes, LONG)

    const found = await smallStore(bucket).head('a')

    expect(found).toEqual({ ...LONG, ...written })
    expect(found).toMatchObject(LONG)
  })

  it('has new ones after a change', async () => {
    const bucket = new FakeBucket({ minPartSize: 65_536 })
    const storage = smallStore(bucket)
    await store(storage, 'a', bytes, LONG)
    await store(storage, 'a', bytes, { ...LONG, owner: 'x'.repeat(3000) })

    expect(await storage.head('a')).toMatchObject({ owner: 'x'.repeat(3000) })

    await store(storage, 'a', bytes, FINISHED)
    expect(await storage.head('a')).toMatchObject(FINISHED)
  })
})

it('is read as a file without name, digest and owner after another tool has removed its state', async () => {
  const bucket = new FakeBucket({ minPartSize: 65_536 })
  const storage = smallStore(bucket)
  const { etag } = await store(storage, 'a', Buffer.from('abc'), LONG)
  for (const key of states(bucket)) await bucket.delete(key)

  expect(await storage.head('a')).toMatchObject({
    ...FINISHED,
    completeLength: 3,
    etag,
    size: 3,
  })
})

it('deletes long states of replaced and removed files with a sweep, once they are old', async () => {
  const clock = { now: Date.now() - 2 * DAY }
  const bucket = new FakeBucket({ minPartSize: 65_536, pageSize: 2, now: () => clock.now })
  const storage = smallStore(bucket)
  for (const key of ['a', 'a/b', 'removed']) {
    await store(storage, key, Buffer.from('abc'), LONG)
    await store(storage, key, Buffer.from('abcd'), LONG)
  }
  await storage.remove('removed')
  clock.now = Date.now()
  await store(storage, 'young', Buffer.from('abc'), LONG)
  await storage.remove('young')
  expect(states(bucket)).toHaveLength(7)

  await storage.sweep?.()

  expect(states(bucket)).toHaveLength(3)
  expect(await storage.head('a')).toMatchObject(LONG)
  expect(await storage.head('a/b')).toMatchObject(LONG)
})

function states(bucket: FakeBucket): readonly string[] {
  return bucket.keys().filter((key) => key.startsWith('.partial-upload/m/files/'))
}

async function store(storage: StorageAdapter, key: string, bytes: Buffer, state: ResourceState) {
  const writer = await storage.openWriter(key, {
    transaction: 'atomic',
    replace: true,
    initial: BEGUN,
  })
  await writer.write(0, [bytes])
  return writer.commit(state)
}
