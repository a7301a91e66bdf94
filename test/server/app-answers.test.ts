/** The app answers, not the middleware, while the client is still sending 20 MB. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable, type Writable } from 'node:stream'
import { text } from 'node:stream/consumers'

import { partialUpload, prepareServer } from 'partial-upload'
import type { PartialUploadOptions } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

import type { HttpRequest, HttpResponse } from '../../src/server/transport.ts'
import { createCertificate } from '../support/certificate.ts'
import type { Certificate } from '../support/certificate.ts'
import { hasCurlWithHttp2 } from '../support/curl.ts'

type Listener = (req: HttpRequest, res: HttpResponse) => void
type Options = Partial<PartialUploadOptions<HttpRequest>>

const MIB = 1024 * 1024
const SIZE = 20 * MIB

const certificate = createCertificate()
const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

function answer(res: HttpResponse, status: number, content = ''): void {
  ;(res as http.ServerResponse).writeHead(status).end(content)
}

const fail = (): never => {
  throw new Error('the database is down')
}

/** The ways in which the app itself answers, and their statuses. */
const REASONS: readonly (readonly [name: string, status: number, options: Options | null])[] = [
  ['a hook throws', 500, { onCreate: fail }],
  ['a hook rejects', 500, { onCreate: () => Promise.reject(new Error('no')) }],
  ['the key throws', 500, { key: fail }],
  ['the request is passed on', 404, { key: () => null }],
  ['an earlier middleware refuses', 401, null],
]

function appOf(options: Options | null, content: string): Listener {
  if (options === null) return (_req, res) => answer(res, 401, content)
  const uploads = partialUpload({ storage: memoryStorage(), ...options })
  return (req, res) => {
    uploads(req, res, (error) => answer(res, error === undefined ? 404 : 500, content))
  }
}

const TRANSPORTS: readonly (readonly [name: string, version: 1 | 2, tls: Certificate | null])[] = [
  ['HTTP/1.1', 1, null],
  ['HTTP/2', 2, null],
  ...(certificate === null
    ? []
    : ([
        ['HTTP/1.1 over TLS', 1, certificate],
        ['HTTP/2 over TLS', 2, certificate],
      ] as const)),
]

describe.each(TRANSPORTS)('over %s the answer of the app arrives', (_name, version, tls) => {
  const put = version === 2 ? putOverHttp2 : putOverHttp1

  it.each(REASONS)('when %s: %i', async (_why, status, options) => {
    const origin = await serve(appOf(options, ''), version, tls)

    expect(await put(origin, tls)).toEqual({ status, isReusable: true })
  })

  it('when it has content', async () => {
    const origin = await serve(appOf({ onCreate: fail }, 'no'), version, tls)

    expect(await put(origin, tls)).toEqual({ status: 500, isReusable: true })
  })
})

describe.skipIf(!hasCurlWithHttp2())('curl over HTTP/2', () => {
  const file = path.join(tmpdir(), `partial-upload-answers-${process.pid}`)
  beforeAll(() => writeFileSync(file, Buffer.alloc(SIZE)))
  afterAll(() => rmSync(file))

  it.each(REASONS)('gets the answer when %s: %i', async (_why, status, options) => {
    const origin = await serve(appOf(options, ''), 2, null)

    const curl = spawn('curl', [
      ...['-s', '-w', '%{http_code}', '--http2-prior-knowledge', '-T', file, `${origin}/a`],
    ])

    expect(await text(curl.stdout)).toBe(String(status))
  })
})

async function serve(app: Listener, version: 1 | 2, tls: Certificate | null): Promise<string> {
  const server = prepareServer(createServer(app, version, tls) as http.Server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(() => server.close())
  const { port } = server.address() as AddressInfo
  return `${tls === null ? 'http' : 'https'}://127.0.0.1:${port}`
}

function createServer(app: Listener, version: 1 | 2, tls: Certificate | null): Server {
  if (version === 1) return tls === null ? http.createServer(app) : https.createServer(tls, app)
  return tls === null ? http2.createServer(app) : http2.createSecureServer(tls, app)
}

interface Outcome {
  readonly status: number
  /** The exchange has ended without an error, and the server answers a further request. */
  readonly isReusable: boolean
}

async function putOverHttp2(origin: string, tls: Certificate | null): Promise<Outcome> {
  const session = http2.connect(origin, tls === null ? {} : { ca: tls.cert })
  ends.push(() => session.destroy())
  const stream = session.request({ ':method': 'PUT', ':path': '/a', 'content-length': SIZE })
  const responded = once(stream, 'response') as Promise<[http2.IncomingHttpHeaders]>
  const closed = once(stream, 'close')
  stream.resume()
  sendContent(stream)
  const [headers] = await responded
  await closed
  const next = session.request({ ':path': '/' })
  next.resume()
  await once(next, 'response')
  return { status: Number(headers[':status']), isReusable: stream.rstCode === 0 }
}

async function putOverHttp1(origin: string, tls: Certificate | null): Promise<Outcome> {
  const { request } = tls === null ? http : https
  const options = { ...(tls === null ? {} : { ca: tls.cert }), agent: false }
  const put = request(`${origin}/a`, {
    ...options,
    method: 'PUT',
    headers: { 'Content-Length': SIZE },
  })
  const responded = once(put, 'response') as Promise<[http.IncomingMessage]>
  sendContent(put)
  const [response] = await responded
  response.resume()
  await once(response, 'end')
  const next = request(origin, options).end()
  await once(next, 'response')
  return { status: response.statusCode ?? 0, isReusable: true }
}

/** Sends all content, as far as the server lets it. */
function sendContent(content: Writable): void {
  const block = Buffer.alloc(MIB)
  content.on('error', () => undefined)
  Readable.from(Array.from({ length: SIZE / MIB }, () => block)).pipe(content)
}
