/**
 * The binding to the AWS SDK with scripted answers: it makes one attempt, and classifies each
 * failure.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server } from 'node:http'
import { buffer } from 'node:stream/consumers'

import { S3Client } from '@aws-sdk/client-s3'
import { afterEach, describe, expect, test } from 'vitest'

import { awsBucket } from '../../src/storage/s3/bucket-aws.ts'
import { BucketError } from '../../src/storage/s3/bucket.ts'
import type { Bucket } from '../../src/storage/s3/bucket.ts'
import { portOf } from '../support/examples/serve.ts'

let server: Server | null = null
let seen: IncomingMessage[] = []

afterEach(() => {
  server?.close()
  server?.closeAllConnections()
  server = null
  seen = []
})

const PLAIN = { contentType: null, contentDisposition: null, metadata: {} }
const CREATED =
  '<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>'

/** A request of each operation that changes something or reads XML. */
const REQUESTS: readonly (readonly [string, (bucket: Bucket) => Promise<unknown>])[] = [
  ['get', (bucket) => bucket.get('a')],
  ['put', (bucket) => bucket.put('a', [Buffer.from('1')])],
  ['delete', (bucket) => bucket.delete('a')],
  ['list', (bucket) => bucket.list('a')],
  ['createMultipart', (bucket) => bucket.createMultipart('a', PLAIN)],
  ['uploadPart', (bucket) => bucket.uploadPart('a', 'u', 1, [Buffer.from('1')])],
  ['uploadPartCopy', (bucket) => bucket.uploadPartCopy('a', 'u', 1, { key: 'b', range: null })],
  [
    'completeMultipart',
    (bucket) => bucket.completeMultipart('a', 'u', [{ number: 1, etag: '"1"' }]),
  ],
  ['abortMultipart', (bucket) => bucket.abortMultipart('a', 'u')],
  ['listMultiparts', (bucket) => bucket.listMultiparts('a')],
]

describe.each(REQUESTS)('%s', (_name, request) => {
  test('makes one attempt, and treats a lost answer as unavailable', async () => {
    const bucket = await serve((_req, res) => res.destroy())

    expect(await failureOf(request(bucket))).toEqual(['unavailable', null])
    expect(seen).toHaveLength(1)
  })

  test.each([
    [503, 'SlowDown', 'unavailable'],
    [500, 'InternalError', 'unavailable'],
    [429, 'TooManyRequests', 'unavailable'],
    [400, 'RequestTimeout', 'unavailable'],
    [403, 'RequestTimeTooSkewed', 'unavailable'],
    [507, 'InsufficientCapacity', 'full'],
    [403, 'QuotaExceeded', 'full'],
    [403, 'AccessDenied', 'denied'],
    [409, 'ConditionalRequestConflict', 'conflict'],
    [412, 'PreconditionFailed', 'precondition'],
    [404, 'NoSuchBucket', 'missing'],
    [501, 'NotImplemented', 'unsupported'],
    [400, 'InvalidArgument', 'rejected'],
  ])('sorts %d %s as %s, after one attempt', async (status, code, kind) => {
    const bucket = await serve((_req, res) => res.writeHead(status).end(errorBody(code)))

    expect(await failureOf(request(bucket))).toEqual([kind, code])
    expect(seen).toHaveLength(1)
  })

  test('treats an answer that is not XML as unavailable', async () => {
    const bucket = await serve((_req, res) => res.writeHead(502).end('<html>bad gateway'))

    const [kind] = await failureOf(request(bucket))
    expect(kind).toBe('unavailable')
  })

  test('gives up after the timeout', async () => {
    const bucket = await serve(() => undefined, 50)

    expect(await failureOf(request(bucket))).toEqual(['unavailable', null])
  })
})

test.each(['uploadPartCopy', 'completeMultipart'])(
  '%s rejects an error in an answer of 200',
  async (name) => {
    const bucket = await serve((_req, res) => res.writeHead(200).end(errorBody('InternalError')))
    const request = REQUESTS.find(([other]) => other === name)?.[1]

    expect(request && (await failureOf(request(bucket)))).toEqual(['unavailable', 'InternalError'])
    expect(seen).toHaveLength(1)
  },
)

test.each(['createMultipart', 'uploadPartCopy', 'completeMultipart', 'list', 'listMultiparts'])(
  '%s calls an answer that was cut off unavailable',
  async (name) => {
    const request = REQUESTS.find(([other]) => other === name)?.[1]
    const bucket = await serve((_req, res) => {
      res.writeHead(200, { 'Content-Length': CREATED.length })
      res.write(CREATED.slice(0, 40), () => res.destroy())
    })

    expect(request && (await failureOf(request(bucket)))).toEqual(['unavailable', null])
  },
)

test('an answer without the identifier of the upload is unavailable', async () => {
  const bucket = await serve((_req, res) =>
    res.writeHead(200).end('<InitiateMultipartUploadResult></InitiateMultipartUploadResult>'),
  )

  expect(await failureOf(bucket.createMultipart('a', PLAIN))).toEqual(['unavailable', null])
})

test('an object that does not exist is null, and its deletion succeeds', async () => {
  const bucket = await serve((_req, res) => res.writeHead(404).end(errorBody('NoSuchKey')))

  expect(await bucket.get('a')).toBeNull()
  expect(await bucket.head('a')).toBeNull()
  expect(await bucket.delete('a')).toBeUndefined()
})

test('If-Match on an object that does not exist is a failed precondition', async () => {
  const bucket = await serve((_req, res) => res.writeHead(404).end(errorBody('NoSuchKey')))

  const put = bucket.put('a', [], { ifMatch: '"1"' })
  expect(await failureOf(put)).toEqual(['precondition', 'NoSuchKey'])
})

test('a completion with If-Match of an upload that does not exist is missing', async () => {
  const bucket = await serve((_req, res) => res.writeHead(404).end(errorBody('NoSuchUpload')))

  const parts = [{ number: 1, etag: '"1"' }]
  const complete = bucket.completeMultipart('a', 'u', parts, { ifMatch: '"1"' })
  expect(await failureOf(complete)).toEqual(['missing', 'NoSuchUpload'])
})

describe('a download', () => {
  /** Milliseconds, long enough for the header of an answer on a busy machine. */
  const TIMEOUT = 3000
  const FIELDS = { ETag: '"1"', 'Last-Modified': new Date(0).toUTCString(), 'Content-Length': 10 }

  test('that is cut off rejects as unavailable', async () => {
    const bucket = await serve((_req, res) => {
      res.writeHead(200, FIELDS)
      res.write('12345', () => res.destroy())
    })

    const found = await bucket.get('a')
    expect(found && (await failureOf(buffer(found.body)))).toEqual(['unavailable', null])
  })

  test('that stalls ends after the timeout', async () => {
    const stall: RequestListener = (_req, res) => void res.writeHead(200, FIELDS).write('12345')
    const bucket = await serve(stall, TIMEOUT)

    const found = await bucket.get('a')
    expect(found && (await failureOf(buffer(found.body)))).toEqual(['unavailable', null])
  })

  test('that waits for its reader does not time out', async () => {
    const bucket = await serve(
      (_req, res) => void res.writeHead(200, FIELDS).end('1234567890'),
      TIMEOUT,
    )

    const found = await bucket.get('a')
    const chunks: Uint8Array[] = []
    for await (const chunk of found?.body ?? []) {
      chunks.push(chunk)
      await new Promise((resolve) => setTimeout(resolve, TIMEOUT + 100))
    }
    expect(Buffer.concat(chunks).toString()).toBe('1234567890')
  })

  test('ends when the signal aborts', async () => {
    const controller = new AbortController()
    const bucket = await serve((_req, res) => void res.writeHead(200, FIELDS).write('12345'))

    const found = await bucket.get('a', { signal: controller.signal })
    const rest = found && failureOf(buffer(found.body))
    controller.abort()
    expect(await rest).toEqual(['aborted', null])
  })

  test('that is cancelled unread frees its connection', async () => {
    const bucket = await serve((_req, res) => void res.writeHead(200, FIELDS).write('12345'))

    const found = await bucket.get('a')
    const closed = once(seen[0]?.socket ?? process, 'close')
    found?.cancel()
    await closed
  })

  test('of a range reports the size of the whole object', async () => {
    const bucket = await serve((_req, res) => {
      res.writeHead(206, { ...FIELDS, 'Content-Range': 'bytes 5-14/99' }).end('1234567890')
    })

    const found = await bucket.get('a', { range: { start: 5, end: 15 } })
    found?.cancel()
    expect(found?.size).toBe(99)
    expect(seen[0]?.headers.range).toBe('bytes=5-14')
  })

  test('is rejected when the store ignores the range', async () => {
    const bucket = await serve((_req, res) => void res.writeHead(200, FIELDS).end('1234567890'))

    const found = bucket.get('a', { range: { start: 5, end: 6 } })
    expect(await failureOf(found)).toEqual(['unsupported', 'InvalidRange'])
  })
})

test('a request ends when the signal aborts, and may have taken effect', async () => {
  const controller = new AbortController()
  const bucket = await serve(() => controller.abort())

  const put = bucket.put('a', [], { signal: controller.signal })
  expect(await failureOf(put)).toEqual(['aborted', null])
})

test('leaves the settings of the app and its client alone', async () => {
  await serve((_req, res) => (seen.length < 3 ? res.destroy() : res.end('<ListBucketResult/>')))
  const client = newClient(3)
  const bucket = awsBucket({ client, bucket: 'b' })

  await failureOf(bucket.list('a'))
  expect(seen).toHaveLength(1)
  const { ListObjectsV2Command } = await import('@aws-sdk/client-s3')
  await client.send(new ListObjectsV2Command({ Bucket: 'b' }))
  expect(seen).toHaveLength(3)
})

test('sends no checksum that an older engine refuses', async () => {
  const bucket = await serve((_req, res) => void res.writeHead(200, { ETag: '"1"' }).end())

  await bucket.put('a', [Buffer.from('1')])
  await bucket.uploadPart('a', 'u', 1, [Buffer.from('1')])
  const names = seen.flatMap(({ headers }) => Object.keys(headers))
  expect(names.filter((name) => /checksum|trailer/.test(name))).toEqual([])
})

test('buckets of one client and one name have one scope', () => {
  const client = newClient(1)
  const [first, second, other] = ['b', 'b', 'c'].map((bucket) => awsBucket({ client, bucket }))

  expect(first?.scope).toBe(second?.scope)
  expect(first?.scope).not.toBe(other?.scope)
})

async function serve(listener: RequestListener, timeout = 20_000): Promise<Bucket> {
  server = createServer((req, res) => {
    seen.push(req)
    req.resume().on('end', () => listener(req, res))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return awsBucket({ client: newClient(5), bucket: 'b', timeout })
}

function newClient(maxAttempts: number): S3Client {
  return new S3Client({
    endpoint: `http://127.0.0.1:${server === null ? 1 : portOf(server)}`,
    forcePathStyle: true,
    region: 'us-east-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    maxAttempts,
  })
}

function errorBody(code: string): string {
  return `<?xml version="1.0"?><Error><Code>${code}</Code><Message>secret words</Message></Error>`
}

async function failureOf(promise: Promise<unknown>): Promise<readonly (string | null)[]> {
  const error: unknown = await promise.then(
    () => 'success',
    (reason: unknown) => reason,
  )
  if (!(error instanceof BucketError)) return [String(error)]
  expect(error.message).not.toContain('secret')
  return [error.kind, error.s3Code]
}
