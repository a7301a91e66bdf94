/**
 * What the S3 storage does beyond the contract of storages, in the bucket of a real object store.
 */
import type { GetObjectCommand } from '@aws-sdk/client-s3'
import express from 'express'
import { partialUpload } from 'partial-upload'
import { beforeAll, describe, expect, test } from 'vitest'

import type { ResourceState, StorageAdapter } from '../../src/storage/adapter.ts'
import { BEGUN, FINISHED } from '../../src/storage/contract/check.ts'
import { awsBucket } from '../../src/storage/s3/bucket-aws.ts'
import { s3Storage } from '../../src/storage/s3.ts'
import { portOf, serve, stop } from '../support/examples/serve.ts'
import { pattern } from '../support/faults/pattern.ts'
import { title } from '../support/faults/server.ts'
import { ENGINES, LONGEST_START } from '../support/s3/engines.ts'
import type { OpenEngine } from '../support/s3/engines.ts'
import { presign } from '../support/s3/presign.ts'
import { smallStore } from '../support/s3/small-store.ts'

const PERSIST = { transaction: 'persist', replace: false, initial: BEGUN } as const
const TYPE = `text/plain; note="${'t'.repeat(5000)}"`
const LONG: ResourceState = { ...FINISHED, contentType: TYPE, owner: 'ö'.repeat(1000) }

describe.each(ENGINES.filter(({ name }) => name !== 'moto'))(
  'a bucket of $name',
  ({ name, missing, open, partSize }) => {
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

    test.skipIf(missing !== null || name === 'bucket')(
      title('serves a file to a client that is redirected, with its type and name', missing),
      async () => {
        const { newClient, bucket, endpoint = '', prefix } = engine
        const redirect = async (command: GetObjectCommand): Promise<string> =>
          Promise.resolve(presign(endpoint, command))
        const storage = s3Storage({ client: newClient(), bucket, prefix, redirect })
        const server = await serve(express().use('/files', partialUpload({ storage })))
        const url = `http://127.0.0.1:${portOf(server)}/files/a b/é (1).txt`
        const contentDisposition = `attachment; filename="b'c (1).txt"`
        const fields = { 'Content-Disposition': contentDisposition, 'Content-Type': 'text/x-one' }
        await fetch(url, { method: 'PUT', headers: fields, body: 'hello' })

        const answer = await fetch(url)
        const range = await fetch(url, { headers: { Range: 'bytes=1-2' } })

        expect(answer.redirected).toBe(true)
        expect(new URL(answer.url).origin).toBe(endpoint)
        expect([answer.status, await answer.text()]).toEqual([200, 'hello'])
        expect(answer.headers.get('content-type')).toBe('text/x-one')
        expect(answer.headers.get('content-disposition')).toBe(contentDisposition)
        expect([range.status, await range.text()]).toEqual([206, 'el'])
        await stop(server)
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
