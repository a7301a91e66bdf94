/** What the S3 storage does beyond the contract of storages, in the bucket of a real object store. */
import { beforeAll, describe, expect, test } from 'vitest'

import type { ResourceState, StorageAdapter } from '../../src/storage/adapter.ts'
import { BEGUN, FINISHED } from '../../src/storage/contract/check.ts'
import { awsBucket } from '../../src/storage/s3/bucket-aws.ts'
import { s3Storage } from '../../src/storage/s3.ts'
import { pattern } from '../support/faults/pattern.ts'
import { title } from '../support/faults/server.ts'
import { ENGINES, LONGEST_START } from '../support/s3/engines.ts'
import type { OpenEngine } from '../support/s3/engines.ts'
import { smallStore } from '../support/s3/small-store.ts'

const PERSIST = { transaction: 'persist', replace: false, initial: BEGUN } as const
const TYPE = `text/plain; note="${'t'.repeat(5000)}"`
const LONG: ResourceState = { ...FINISHED, contentType: TYPE, owner: 'ö'.repeat(1000) }

describe.each(ENGINES.filter(({ name }) => name !== 'moto'))(
  'a bucket of $name',
  ({ missing, open, partSize }) => {
    let engine: OpenEngine
    beforeAll(async () => {
      if (missing === null) engine = await open()
    }, LONGEST_START)

    test.skipIf(missing !== null)(
      title('stores a type and an owner that are too long for the metadata', missing),
      async () => {
        const { newClient, bucket, prefix } = engine
        const create = (): StorageAdapter => s3Storage({ client: newClient(), bucket, prefix })
        await store(create(), 'small', Buffer.from('abc'))
        await store(create(), 'large', pattern(2 * 1024 ** 2, 1))

        expect(await create().head('small')).toMatchObject(LONG)
        expect(await create().head('large')).toMatchObject(LONG)
      },
    )

    test.skipIf(missing !== null)(
      title('finishes an upload of three times the largest number of parts', missing),
      { timeout: 240_000 },
      async () => {
        const { newClient, bucket } = engine
        const create = (): StorageAdapter =>
          smallStore(awsBucket({ client: newClient(), bucket }), {
            partSize: partSize + 1024,
            minPartSize: partSize,
            maxCopySize: 4 * partSize,
            maxParts: 40,
          })
        const content = pattern(120 * partSize, 1)
        const lives = 5

        for (let life = 1; life <= lives; life += 1) {
          // The writer before has not ended, as if its process had been killed.
          const writer = await create().openWriter('merged', PERSIST)
          const end = (life * content.length) / lives
          for (let at = writer.base?.size ?? 0; at < end; at += partSize)
            await writer.write(at, [content.subarray(at, Math.min(at + partSize, end))])
          await writer.flush?.()
        }
        const last = await create().openWriter('merged', PERSIST)
        await last.commit(FINISHED)

        const reader = await create().openReader('merged')
        const read: Uint8Array[] = []
        for await (const chunk of reader?.read(0, content.length) ?? []) read.push(chunk)
        expect(Buffer.concat(read).equals(content)).toBe(true)
      },
    )
  },
)

async function store(storage: StorageAdapter, key: string, bytes: Buffer): Promise<void> {
  const options = { transaction: 'atomic', replace: true, initial: BEGUN } as const
  const writer = await storage.openWriter(key, options)
  await writer.write(0, [bytes])
  await writer.commit(LONG)
}
