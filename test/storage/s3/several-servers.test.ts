/** Limits per owner, expiry and hooks of two servers on one bucket, which share nothing else. */
import type { Server } from 'node:http'

import express from 'express'
import type { Request } from 'express'
import { expireIncomplete, partialUpload } from 'partial-upload'
import type { PartialUploadOptions } from 'partial-upload'
import { afterEach, describe, expect, it } from 'vitest'

import type { StorageAdapter } from '../../../src/storage/adapter.ts'
import { portOf, serve, stop } from '../../support/examples/serve.ts'
import { FakeBucket } from '../../support/s3/fake-bucket.ts'
import { smallStore } from '../../support/s3/small-store.ts'

const servers: Server[] = []

afterEach(async () => {
  await Promise.all(servers.splice(0).map(stop))
})

describe('a limit per owner of two servers', () => {
  const limited = { owner: () => 'zoe', maxIncompletePerOwner: 1 }

  it('counts an upload that the other server has begun', async () => {
    const bucket = newBucket()
    const [first, second] = [await start(bucket, limited), await start(bucket, limited)]
    expect(await patch(first, 'a', '0-1/4', 'ab')).toBe(202)

    expect(await patch(second, 'b', '0-1/4', 'ab')).toBe(429)
  })

  it('has room again after the other server has finished the upload', async () => {
    const bucket = newBucket()
    const [first, second] = [await start(bucket, limited), await start(bucket, limited)]
    expect(await patch(first, 'a', '0-1/4', 'ab')).toBe(202)
    expect(await patch(second, 'a', '2-3/4', 'cd')).toBe(201)

    expect(await patch(first, 'b', '0-1/4', 'ab')).toBe(202)
  })
})

describe('expiry on two servers', () => {
  it('removes an upload that the other server has begun', async () => {
    const bucket = newBucket()
    const first = await start(bucket)
    await patch(first, 'a', '0-1/4', 'ab')
    await patch(first, 'finished', '0-3/4', 'abcd')
    await oneMillisecond()

    expect(await expireIncomplete({ storage: ownStore(bucket), expireAfter: 1 })).toEqual(['a'])

    expect((await fetch(`${first}/a`, { method: 'HEAD' })).status).toBe(404)
    expect((await fetch(`${first}/finished`, { method: 'HEAD' })).status).toBe(200)
  })

  it('removes each upload once if both run at the same time', async () => {
    const bucket = newBucket()
    const first = await start(bucket)
    const keys = ['a', 'b', 'c', 'd', 'e']
    for (const key of keys) await patch(first, key, '0-1/4', 'ab')
    await oneMillisecond()

    const removed = await Promise.all(
      [ownStore(bucket), ownStore(bucket)].map((storage) =>
        expireIncomplete({ storage, expireAfter: 1 }),
      ),
    )

    expect(removed.flat().toSorted()).toEqual(keys)
  })
})

it('hooks are called by the server that answers the request, once', async () => {
  const bucket = newBucket()
  const calls: string[] = []
  const hooks = (name: string): Partial<PartialUploadOptions<Request>> => ({
    onCreate: (_req, { key }) => void calls.push(`${name} onCreate ${key}`),
    onComplete: (_req, { key }) => void calls.push(`${name} onComplete ${key}`),
    onPublished: (_req, { key }) => void calls.push(`${name} onPublished ${key}`),
    onRemoved: (_req, { key }) => void calls.push(`${name} onRemoved ${key}`),
  })
  const first = await start(bucket, hooks('first'))
  const second = await start(bucket, hooks('second'))

  await patch(first, 'a', '0-1/4', 'ab')
  await patch(second, 'a', '2-3/4', 'cd')
  await fetch(`${first}/a`, { method: 'DELETE' })

  expect(calls).toEqual([
    'first onCreate a',
    'second onComplete a',
    'second onPublished a',
    'first onRemoved a',
  ])
})

function newBucket(): FakeBucket {
  return new FakeBucket({ minPartSize: 65_536 })
}

/** A storage that shares no locks with the others on the bucket, as in another process. */
function ownStore(bucket: FakeBucket): StorageAdapter {
  return { ...smallStore(bucket), lockScope: {} }
}

/** Starts a server, and returns the URL of its files. */
async function start(
  bucket: FakeBucket,
  options: Partial<PartialUploadOptions<Request>> = {},
): Promise<string> {
  const uploads = partialUpload({ ...options, storage: ownStore(bucket) })
  const server = await serve(express().use('/files', uploads))
  servers.push(server)
  return `http://127.0.0.1:${portOf(server)}/files`
}

async function patch(url: string, key: string, range: string, bytes: string): Promise<number> {
  const answer = await fetch(`${url}/${key}`, {
    method: 'PATCH',
    headers: { 'Content-Type': 'message/byteranges' },
    body: `Content-Range: bytes ${range}\r\n\r\n${bytes}`,
  })
  return answer.status
}

/** Resolves when the clock shows a later time, so that the uploads are old enough to expire. */
async function oneMillisecond(): Promise<void> {
  const now = Date.now()
  await expect.poll(() => Date.now() - now).toBeGreaterThan(1)
}
