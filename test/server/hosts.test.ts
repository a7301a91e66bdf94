/**
 * Every kind of server that the README names, plain and over TLS, with one upload from start to
 * end.
 */
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { createRequire } from 'node:module'
import type { AddressInfo, Server, Socket } from 'node:net'

import middie from '@fastify/middie'
import express from 'express'
import fastify from 'fastify'
import { partialUpload, prepareServer } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { afterEach, describe, expect, it } from 'vitest'

import { createCertificate } from '../support/certificate.ts'
import type { Certificate } from '../support/certificate.ts'
import {
  CHUNKED,
  Connection,
  MESSAGE,
  chunk,
  chunked,
  field,
  message,
  request,
} from '../support/wire/client.ts'
import type { Peer } from '../support/wire/client.ts'
import { Http2Peer } from '../support/wire/http2-client.ts'

type Listener = (
  req: http.IncomingMessage | http2.Http2ServerRequest,
  res: http.ServerResponse | http2.Http2ServerResponse,
) => unknown
type Start = (tls: Certificate | null) => Promise<Server> | Server

const require = createRequire(import.meta.url)
const express4 = require('express4') as typeof express
// Its types would change those of Express everywhere.
const bridge = require('http2-express-bridge') as (framework: typeof express) => Listener & {
  use(mount: string, handler: unknown): void
}

const uploads = () => partialUpload({ storage: memoryStorage() })

/** The form that Connect and the README use. */
function bare(): Listener {
  const middleware = uploads()
  return (req, res) => middleware(req, res, () => res.writeHead(404).end())
}

function mounted(framework: typeof express): Listener {
  return framework().use('/files', uploads()) as Listener
}

/** The Express 4 of the bridge must not be that of the other rows, whose prototype it changes. */
function bridged(): Listener {
  const app = bridge(express4)
  app.use('/files', uploads())
  return app
}

const onHttp1 = (listener: () => Listener): Start => {
  return (tls) =>
    tls === null ? http.createServer(listener()) : https.createServer(tls, listener())
}
const onHttp2 = (listener: () => Listener, allowHTTP1 = false): Start => {
  return (tls) =>
    tls === null
      ? http2.createServer(listener())
      : http2.createSecureServer({ ...tls, allowHTTP1 }, listener())
}
const onFastify: Start = async (tls) => {
  const app = fastify({ http2: true, ...(tls === null ? {} : { https: tls }) } as { http2: true })
  await app.register(middie)
  app.use('/files', uploads() as never)
  await app.ready()
  return app.server
}

type Row = readonly [name: string, version: 1 | 2, start: Start]

const HOSTS: readonly Row[] = [
  ['http.createServer', 1, onHttp1(bare)],
  ['Express 5', 1, onHttp1(() => mounted(express))],
  ['Express 4', 1, onHttp1(() => mounted(express4))],
  ['http2.createServer', 2, onHttp2(bare)],
  ['Fastify 5 with http2 and middie', 2, onFastify],
]
/** Servers that choose the protocol by TLS. */
const TLS_HOSTS: readonly Row[] = [
  ['http2.createSecureServer with allowHTTP1', 1, onHttp2(bare, true)],
  ['http2.createSecureServer with allowHTTP1', 2, onHttp2(bare, true)],
  ['Express 4 on http2-express-bridge', 2, onHttp2(bridged, true)],
  ['Express 4 on http2-express-bridge', 1, onHttp2(bridged, true)],
]

const certificate = createCertificate()
const peers: Peer[] = []
const servers: Server[] = []
const sockets = new Set<Socket>()

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.destroy()
  for (const socket of sockets) socket.destroy()
  for (const server of servers.splice(0)) {
    server.close()
    await once(server, 'close')
  }
})

describe.each(HOSTS)('%s over HTTP/%i, plain', (_name, version, start) => {
  itServes(version, () => start(null), null)
})

describe.skipIf(certificate === null).each([...HOSTS, ...TLS_HOSTS])(
  '%s over HTTP/%i and TLS (needs openssl)',
  (_name, version, start) => {
    itServes(version, () => start(certificate), certificate)
  },
)

function itServes(
  version: 1 | 2,
  start: () => Promise<Server> | Server,
  tls: Certificate | null,
): void {
  async function serve(): Promise<() => Promise<Peer>> {
    const server = await start()
    prepareServer(server as http.Server)
    server.on('connection', (socket: Socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    })
    servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    return async () => {
      const origin = `${tls === null ? 'http' : 'https'}://127.0.0.1:${port}`
      const options = tls === null ? {} : { ca: tls.cert }
      const peer =
        version === 2
          ? await Http2Peer.open(origin, options)
          : await Connection.open(port, undefined, tls?.cert)
      peers.push(peer)
      return peer
    }
  }

  it('receives an upload in segments, and serves it', async () => {
    const connect = await serve()
    const peer = await connect()

    const first = await peer
      .send(request('PATCH', '/files/a', [MESSAGE], message('bytes 0-3/10', 'abcd')))
      .answer('PATCH')
    const head = await peer.send(request('HEAD', '/files/a')).answer('HEAD')
    const rest = chunked(message('bytes 4-9/10', 'efghij'))
    const last = await peer.send(request('PATCH', '/files/a', [MESSAGE, CHUNKED], rest)).answer()
    const get = await peer.send(request('GET', '/files/a')).answer()
    const part = await peer.send(request('GET', '/files/a', ['Range: bytes=2-3'])).answer()
    const removed = await peer.send(request('DELETE', '/files/a')).answer('DELETE')
    const gone = await peer.send(request('GET', '/files/a')).answer()

    expect([first.status, head.status, field(head, 'content-length')]).toEqual([202, 299, '4'])
    expect([last.status, get.status, get.body.toString()]).toEqual([201, 200, 'abcdefghij'])
    expect([part.status, part.body.toString()]).toEqual([206, 'cd'])
    expect([removed.status, gone.status]).toEqual([204, 404])
  })

  it('keeps the bytes before a cut, and replaces nothing by half a PUT', async () => {
    const connect = await serve()
    const [peer, other] = [await connect(), await connect()]
    await peer.send(request('PUT', '/files/b', [], 'whole')).answer('PUT')

    other.send(request('PATCH', '/files/a', [MESSAGE, CHUNKED]))
    other.send(chunk(message('bytes 0-9/10', 'abcd')))
    await expect.poll(() => lengthOf(peer, '/files/a')).toBe('4')
    other.destroy()
    const cut = await connect()
    cut.send(request('PUT', '/files/b', [CHUNKED]), chunk('half')).close()
    await cut.closed()
    await expect
      .poll(async () => {
        const rest = message('bytes 4-9/10', 'efghij')
        return (await peer.send(request('PATCH', '/files/a', [MESSAGE], rest)).answer()).status
      })
      .toBe(201)
    const get = await peer.send(request('GET', '/files/b')).answer()

    expect([get.status, get.body.toString()]).toEqual([200, 'whole'])
  })

  it('answers an upload that it refuses, and then the next one', async () => {
    const connect = await serve()
    const peer = await connect()
    const large = Buffer.alloc(500_000)

    const refused = await peer
      .send(request('PATCH', '/files/a', ['Content-Type: image/png'], large))
      .answer('PATCH')
    const next = await peer.send(request('PUT', '/files/a', [], 'abc')).answer('PUT')

    expect([refused.status, next.status]).toEqual([415, 201])
  })
}

async function lengthOf(peer: Peer, path: string): Promise<string | null> {
  return field(await peer.send(request('HEAD', path)).answer('HEAD'), 'content-length')
}
