/**
 * The middleware in AWS Lambda, where an adapter makes requests of events and has no connection.
 */
import serverlessExpress from '@codegenie/serverless-express'
import express from 'express'
import { partialUpload } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import serverless from 'serverless-http'
import { describe, expect, it } from 'vitest'

import { message } from '../support/wire/client.ts'

/** The result of a function, as API Gateway reads it. */
interface Result {
  readonly statusCode: number
  readonly headers?: Record<string, string>
  readonly multiValueHeaders?: Record<string, string[]>
  readonly body: string
  readonly isBase64Encoded: boolean
}

type Invoke = (event: object) => Promise<Result>

interface Sent {
  readonly method: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

function app() {
  return express().use('/files', partialUpload({ storage: memoryStorage() }))
}

const ADAPTERS: readonly (readonly [name: string, create: () => Invoke])[] = [
  [
    'serverless-http',
    () => {
      const handle = serverless(app() as never, { binary: ['*/*'] })
      return async (event) => (await handle(event, {})) as Result
    },
  ],
  [
    '@codegenie/serverless-express',
    () => {
      const binarySettings = { contentTypes: ['*/*'] }
      const create = serverlessExpress as unknown as (
        options: object,
      ) => (event: object, context: object) => Promise<Result>
      const handle = create({ app: app(), binarySettings })
      return (event) => handle(event, {})
    },
  ],
]

/** Payload formats of API Gateway. */
const EVENTS: readonly (readonly [version: string, eventOf: (sent: Sent) => object])[] = [
  [
    '1.0',
    ({ method, path = '/files/a', headers = {}, body = '' }) => ({
      version: '1.0',
      resource: '/{proxy+}',
      httpMethod: method,
      path,
      headers,
      multiValueHeaders: Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, [value]]),
      ),
      queryStringParameters: null,
      multiValueQueryStringParameters: null,
      requestContext: { identity: { sourceIp: '127.0.0.1' }, httpMethod: method, path },
      body: Buffer.from(body).toString('base64'),
      isBase64Encoded: true,
    }),
  ],
  [
    '2.0',
    ({ method, path = '/files/a', headers = {}, body = '' }) => ({
      version: '2.0',
      routeKey: '$default',
      rawPath: path,
      rawQueryString: '',
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
      ),
      requestContext: { http: { method, path, sourceIp: '127.0.0.1' } },
      body: Buffer.from(body).toString('base64'),
      isBase64Encoded: true,
    }),
  ],
]

const TYPE = { 'Content-Type': 'message/byteranges' }

describe.each(ADAPTERS)('%s', (_name, create) => {
  describe.each(EVENTS)('with payload %s', (_version, eventOf) => {
    it('receives an upload in segments, and serves it', async () => {
      const invoke = create()
      const send = (sent: Sent) => invoke(eventOf(sent))

      const first = await send({
        method: 'PATCH',
        headers: TYPE,
        body: message('bytes 0-3/8', 'ab\xe4d'),
      })
      const head = await send({ method: 'HEAD' })
      const last = await send({
        method: 'PATCH',
        headers: TYPE,
        body: message('bytes 4-7/8', 'ef\0h'),
      })
      const get = await send({ method: 'GET' })
      const part = await send({ method: 'GET', headers: { Range: 'bytes=4-5' } })

      expect([first.statusCode, JSON.parse(textOf(first))]).toEqual([
        202,
        { received: 4, length: 8, complete: false },
      ])
      expect([head.statusCode, fieldOf(head, 'content-length')]).toEqual([299, '4'])
      expect(last.statusCode).toBe(201)
      expect([get.statusCode, textOf(get)]).toEqual([200, 'ab\xe4def\0h'])
      expect([part.statusCode, textOf(part)]).toEqual([206, 'ef'])
    })

    it('serves more bytes than a stream buffers', async () => {
      const invoke = create()
      const bytes = Buffer.alloc(3_000_000, 'abcdefg')
      await invoke(eventOf({ method: 'PUT', body: bytes }))

      const get = await invoke(eventOf({ method: 'GET' }))

      expect(Buffer.from(get.body, 'base64').equals(bytes)).toBe(true)
    })

    it('answers errors', async () => {
      const invoke = create()
      const send = (sent: Sent) => invoke(eventOf(sent))

      const type = await send({
        method: 'PATCH',
        headers: { 'Content-Type': 'image/png' },
        body: 'x',
      })
      const gap = await send({ method: 'PATCH', headers: TYPE, body: message('bytes 4-5/8', 'ab') })
      const method = await send({ method: 'POST', body: 'x' })
      const missing = await send({ method: 'GET' })

      const statuses = [type, gap, method, missing].map(({ statusCode }) => statusCode)
      expect(statuses).toEqual([415, 404, 405, 404])
      expect(JSON.parse(textOf(type))).toMatchObject({ code: 'ERR_MEDIA_TYPE' })
    })

    it('receives content that is read whole', async () => {
      const invoke = create()

      const put = await invoke(eventOf({ method: 'PUT', body: 'abc' }))
      const get = await invoke(eventOf({ method: 'GET' }))

      expect([put.statusCode, textOf(get)]).toEqual([201, 'abc'])
    })
  })
})

function textOf({ body, isBase64Encoded }: Result): string {
  return isBase64Encoded ? Buffer.from(body, 'base64').toString('latin1') : body
}

function fieldOf({ headers, multiValueHeaders }: Result, name: string): string | undefined {
  const lines = { ...multiValueHeaders, ...headers }
  const [, value] = Object.entries(lines).find(([key]) => key.toLowerCase() === name) ?? []
  return [value].flat().join(', ')
}
