import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { connect, createServer, type Server as NetServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'

import express, { type Express } from 'express'
import { partialUpload } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { upload } from '../../examples/resume.ts'
import { portOf, serve, stop } from '../support/examples/serve.ts'

const SIZE = 8 * 1024 * 1024

let directory: string
let file: string
let server: Server
let proxy: Proxy | null = null

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-resume-'))
  file = path.join(directory, 'file')
  await writeFile(file, randomBytes(SIZE))
  server = await serve(createApp())
})

afterEach(async () => {
  proxy?.server.close()
  proxy = null
  await stop(server)
  await rm(directory, { recursive: true })
})

test('sends a file in one request if nothing breaks', async () => {
  const status = await upload(file, url(server))

  expect(status).toBe(201)
  expect(await checksum(uploaded())).toBe(await checksum(file))
})

test('resumes where the connection was cut, and sends few bytes twice', async () => {
  proxy = await cuttingProxy([3_000_000, 2_000_000, Infinity])

  const status = await upload(file, url(proxy.server), 1)

  expect(status).toBe(201)
  expect(await checksum(uploaded())).toBe(await checksum(file))
  expect(proxy.connections).toBeGreaterThanOrEqual(3)
  expect(proxy.bytes).toBeLessThan(1.5 * SIZE)
})

test('resumes after the server was started again', async () => {
  const port = portOf(server)
  proxy = await cuttingProxy([3_000_000, Infinity], async () => {
    await stop(server)
    server = await serve(createApp(), port)
  })

  const status = await upload(file, url(proxy.server), 1)

  expect(status).toBe(201)
  expect(await checksum(uploaded())).toBe(await checksum(file))
  expect(proxy.bytes).toBeLessThan(1.5 * SIZE)
})

test('is done at once if the server has the file', async () => {
  await upload(file, url(server))

  expect(await upload(file, url(server))).toBe(200)
})

test('uploads an empty file', async () => {
  await writeFile(file, '')

  expect(await upload(file, url(server))).toBe(201)
  expect(await readFile(uploaded(), 'utf8')).toBe('')
})

test('does not change another file of that name', async () => {
  await fetch(url(server), { method: 'PUT', body: 'another' })

  await expect(upload(file, url(server))).rejects.toThrow('another file is at http:')
  expect(await readFile(uploaded(), 'utf8')).toBe('another')
})

test('does not treat another file of the same size as this one', async () => {
  const another = randomBytes(SIZE)
  await fetch(url(server), { method: 'PUT', body: another })

  await expect(upload(file, url(server))).rejects.toThrow('another file is at http:')
  expect((await readFile(uploaded())).equals(another)).toBe(true)
})

test('does not join the beginning and the end of two versions of a file', async () => {
  const begun = Buffer.concat([
    Buffer.from(`Content-Range: bytes 0-999/${SIZE}\r\n\r\n`),
    randomBytes(1000),
  ])
  const headers = { 'Content-Type': 'message/byteranges' }
  await fetch(url(server), { method: 'PATCH', headers, body: begun })

  const refused = await upload(file, url(server))
  const again = await upload(file, url(server))

  expect([refused, again]).toEqual([409, 201])
  expect(await checksum(uploaded())).toBe(await checksum(file))
})

test('fails with a final refusal', async () => {
  const refused = `http://127.0.0.1:${portOf(server)}/files/a%2Fb`

  expect(await upload(file, refused)).toBe(400)
})

function createApp(): Express {
  const storage = fsStorage({ directory: path.join(directory, 'uploads') })
  return express().use('/files', partialUpload({ storage }))
}

function url(of: NetServer): string {
  return `http://127.0.0.1:${portOf(of)}/files/file`
}

function uploaded(): string {
  return path.join(directory, 'uploads/file')
}

async function checksum(of: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(of))
    .digest('hex')
}

interface Proxy {
  readonly server: NetServer
  connections: number
  bytes: number
}

/**
 * Passes bytes on to the server, and cuts the connection after each number of bytes in `limits`.
 */
async function cuttingProxy(
  limits: readonly number[],
  onCut: () => Promise<void> = async () => undefined,
): Promise<Proxy> {
  const target = portOf(server)
  let [limit = 0, ...rest] = limits
  const listening: Proxy = { server: createServer(), connections: 0, bytes: 0 }
  listening.server.on('connection', (client) => {
    listening.connections += 1
    const upstream = connect({ host: '127.0.0.1', port: target })
    const cut = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) socket.on('error', cut).on('close', cut)
    upstream.pipe(client)
    client.pipe(upstream)
    client.on('data', (chunk) => {
      listening.bytes += chunk.byteLength
      limit -= chunk.byteLength
      if (limit > 0) return
      ;[limit = 0, ...rest] = rest
      cut()
      void onCut()
    })
  })
  listening.server.listen(0, '127.0.0.1')
  await once(listening.server, 'listening')
  return listening
}
