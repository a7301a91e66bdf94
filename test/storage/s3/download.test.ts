/**
 * Downloads through a server whose files are in a bucket: redirects to the store, and clients that
 * leave.
 */
import type { Server } from 'node:http'

import express from 'express'
import { partialUpload } from 'partial-upload'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import type { GetOptions, PresignedAnswer } from '../../../src/storage/s3/bucket.ts'
import { portOf, serve, stop } from '../../support/examples/serve.ts'
import { FakeBucket } from '../../support/s3/fake-bucket.ts'
import { smallStore } from '../../support/s3/small-store.ts'

let server: Server
let url: string
let bucket: ObservedBucket

afterEach(() => stop(server))

describe('a storage that redirects downloads', () => {
  beforeEach(async () => {
    bucket = new SigningBucket({ minPartSize: 65_536 })
    await start()
    await fetch(`${url}/a.txt`, {
      method: 'PUT',
      headers: { 'Content-Disposition': 'attachment; filename="b.txt"' },
      body: 'hello',
    })
  })

  it('answers 307 to GET of a finished file, with its type and name in the URL', async () => {
    const answer = await get({})

    expect(answer.status).toBe(307)
    expect(await answer.text()).toBe('')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const location = new URL(answer.headers.get('location') ?? '')
    expect(location.href.split('?')[0]).toBe('https://store.example/files/a.txt')
    expect(Object.fromEntries(location.searchParams)).toEqual({
      type: 'text/plain;charset=UTF-8',
      disposition: 'attachment; filename="b.txt"',
    })
  })

  it('redirects a request for one range, which the client repeats at the store', async () => {
    expect((await get({ Range: 'bytes=1-2' })).status).toBe(307)
  })

  it('checks the preconditions and the range before', async () => {
    const { headers } = await head()

    const unchanged = await get({ 'If-None-Match': headers.get('etag') ?? '' })
    expect(unchanged.status).toBe(304)
    expect((await get({ Range: 'bytes=7-9' })).status).toBe(416)
    expect((await get({ 'If-Match': '"other"' })).status).toBe(412)
  })

  it.each([
    ['several ranges', { Range: 'bytes=0-0,2-3' }, 206],
    ['If-Range', { Range: 'bytes=1-2', 'If-Range': '"other"' }, 200],
    ['a digest', { 'Want-Repr-Digest': 'sha-256=1' }, 200],
  ] as const)('sends the bytes itself for a request for %s', async (_name, fields, status) => {
    expect((await get(fields)).status).toBe(status)
  })

  it('sends the bytes itself if the condition holds, which the store could not check', async () => {
    const { headers } = await head()

    const answer = await get({ 'If-Match': headers.get('etag') ?? '' })

    expect([answer.status, await answer.text()]).toEqual([200, 'hello'])
  })

  it('answers HEAD itself', async () => {
    const answer = await head()

    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-length')).toBe('5')
  })

  it('sends the bytes of an unfinished upload itself', async () => {
    await fetch(`${url}/b`, {
      method: 'PATCH',
      headers: { 'Content-Type': 'message/byteranges' },
      body: 'Content-Range: bytes 0-1/5\r\n\r\nhe',
    })

    const answer = await fetch(`${url}/b`, { redirect: 'manual' })

    expect([answer.status, await answer.text()]).toEqual([299, 'he'])
  })
})

it('aborts the request to the store when the client of a download leaves', async () => {
  bucket = new ObservedBucket({ minPartSize: 65_536 })
  await start()
  await fetch(`${url}/a.txt`, { method: 'PUT', body: 'hello' })
  bucket.faults.add({ operation: 'get', key: 'files/a.txt', skip: 1 }, { kind: 'hang' })
  const controller = new AbortController()
  const answer = fetch(`${url}/a.txt`, { signal: controller.signal }).catch(() => null)
  await expect.poll(() => bucket.signals).toHaveLength(1)
  expect(bucket.signals[0]?.aborted).toBe(false)

  controller.abort()

  await expect.poll(() => bucket.signals[0]?.aborted).toBe(true)
  expect(await answer).toBeNull()
})

it('ends a read without an error when its signal aborts', async () => {
  bucket = new ObservedBucket({ minPartSize: 65_536 })
  await start()
  await fetch(`${url}/a.txt`, { method: 'PUT', body: 'hello' })
  bucket.faults.add({ operation: 'get', key: 'files/a.txt', skip: 1 }, { kind: 'hang' })
  const controller = new AbortController()
  const reader = await smallStore(bucket).openReader('a.txt', { signal: () => controller.signal })
  const next = reader?.read(0, 5)[Symbol.asyncIterator]().next()
  await expect.poll(() => bucket.signals).toHaveLength(1)

  controller.abort()

  expect(await next).toEqual({ done: true, value: undefined })
})

/** A bucket that keeps the signals of its reads of a range. */
class ObservedBucket extends FakeBucket {
  readonly signals: AbortSignal[] = []

  override get(key: string, options: GetOptions = {}) {
    if (options.range !== undefined && options.signal !== undefined)
      this.signals.push(options.signal)
    return super.get(key, options)
  }
}

class SigningBucket extends ObservedBucket {
  async presign(key: string, answer: PresignedAnswer): Promise<string> {
    const query = new URLSearchParams({
      type: answer.contentType,
      disposition: answer.contentDisposition ?? '',
    })
    return Promise.resolve(`https://store.example/${key}?${query.toString()}`)
  }
}

async function start(): Promise<void> {
  server = await serve(express().use('/files', partialUpload({ storage: smallStore(bucket) })))
  url = `http://127.0.0.1:${portOf(server)}/files`
}

function get(headers: Readonly<Record<string, string>>): Promise<Response> {
  return fetch(`${url}/a.txt`, { redirect: 'manual', headers })
}

function head(): Promise<Response> {
  return fetch(`${url}/a.txt`, { method: 'HEAD', redirect: 'manual' })
}
