/** The number of uploads at a time, and the end of running uploads, over HTTP. */
import express from 'express'
import http from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

import { partialUpload, prepareServer } from 'partial-upload'
import type { Middleware, PartialUploadOptions } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { describe, expect, it } from 'vitest'

import { closedAfterEach } from '../support/listening.ts'
import { Connection, MESSAGE, field, json, message, request } from '../support/wire/client.ts'
import type { Answer } from '../support/wire/client.ts'

type Options = Partial<PartialUploadOptions<express.Request>>

const { servers, connections } = closedAfterEach()

describe('uploads at the same time', () => {
  it('beyond maxUploads are refused, until one has ended', async () => {
    const { port } = await serve({ maxUploads: 1 })
    const first = await beginPatch(port, '/files/a')

    const refused = await patch(port, '/files/b')
    await first.send('jklm').answer('PATCH')
    const later = await patch(port, '/files/b')

    expect([refused.status, field(refused, 'retry-after')]).toEqual([503, '5'])
    expect(json(refused)).toMatchObject({ code: 'ERR_BUSY', limit: 1 })
    expect(later.status).toBe(201)
  })

  it('that were cut no longer count', async () => {
    const { port } = await serve({ maxUploads: 1 })
    const first = await beginPatch(port, '/files/a')

    first.socket.destroy()

    await expect.poll(async () => (await patch(port, '/files/b')).status).toBe(201)
  })

  it.each([{ maxUploads: 1 }, { maxUploadsPerOwner: 1, owner: () => 'ann' }])(
    'count until their hook has ended, even if their client has left: %o',
    async (options) => {
      const hook = heldHook()
      const { port } = await serve({ ...options, onComplete: hook.run })
      const first = await connect(port)
      const body = message('bytes 0-12/13', 'abcdefghijklm')
      first.send(request('PATCH', '/files/a', [MESSAGE], body))
      await hook.reached

      first.socket.resetAndDestroy()
      await expect.poll(() => hook.isClientGone()).toBe(true)
      const refused = await patch(port, '/files/b')
      hook.end()

      expect([429, 503]).toContain(refused.status)
      await expect.poll(async () => (await patch(port, '/files/c')).status).toBe(201)
    },
  )

  it('do not limit GET, HEAD, DELETE and OPTIONS', async () => {
    const { port } = await serve({ maxUploads: 1 })
    await beginPatch(port, '/files/a')

    expect((await send(port, 'HEAD', '/files/a')).status).toBe(299)
    expect((await send(port, 'GET', '/files/a')).status).toBe(299)
    expect((await send(port, 'OPTIONS', '/files/a')).status).toBe(204)
    expect((await send(port, 'DELETE', '/files/a')).status).toBe(204)
  })

  it('are counted for each owner, and not for those without one', async () => {
    const owner = (req: express.Request) => req.get('x-user') ?? null
    const { port } = await serve({ maxUploadsPerOwner: 1, owner })
    await beginPatch(port, '/files/a', 'X-User: ann')
    await beginPatch(port, '/files/b')

    const refused = await patch(port, '/files/c', 'X-User: ann')

    expect([refused.status, field(refused, 'retry-after')]).toEqual([429, '5'])
    expect(json(refused)).toMatchObject({ code: 'ERR_TOO_MANY_UPLOADS', limit: 1 })
    expect((await patch(port, '/files/d', 'X-User: bob')).status).toBe(201)
    expect((await patch(port, '/files/e')).status).toBe(201)
  })

  it('one after the other are not limited', async () => {
    const { port } = await serve({ maxUploads: 1 })
    const connection = await connect(port)

    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      connection.send(request('PATCH', `/files/${name}`, [MESSAGE], message('bytes 0-0/1', 'x')))
      expect((await connection.answer('PATCH')).status).toBe(201)
    }
  })
})

describe('the incomplete uploads of an owner', () => {
  const owner = (req: express.Request) => req.get('x-user') ?? null

  it('have a limit of bytes, and the 413 reports the received length', async () => {
    const { port } = await serve({ owner, maxIncompleteBytesPerOwner: 20 })
    const first = await segment(port, '/files/a', 'bytes 0-3/15', 'X-User: ann')

    const refused = await segment(port, '/files/b', 'bytes 0-3/6', 'X-User: ann')

    expect(first.status).toBe(202)
    expect(json(refused)).toMatchObject({
      ...{ status: 507, code: 'ERR_QUOTA', limit: 20, used: 15 },
      ...{ received: 0, length: null },
    })
    expect((await send(port, 'HEAD', '/files/b')).status).toBe(404)
    expect((await segment(port, '/files/b', 'bytes 0-3/5', 'X-User: ann')).status).toBe(202)
  })

  it('stay with the owner that began them', async () => {
    const { port } = await serve({ owner, maxIncompletePerOwner: 1 })
    await segment(port, '/files/a', 'bytes 0-3/15', 'X-User: ann')
    const continued = await segment(port, '/files/a', 'bytes 4-7/15', 'X-User: bob')

    const refused = await segment(port, '/files/b', 'bytes 0-3/15', 'X-User: ann')

    expect(continued.status).toBe(202)
    expect([refused.status, field(refused, 'retry-after')]).toEqual([429, '60'])
    expect((await segment(port, '/files/c', 'bytes 0-3/15', 'X-User: bob')).status).toBe(202)
  })

  it('do not count finished resources and uploads without an owner', async () => {
    const { port } = await serve({ owner, maxIncompletePerOwner: 1 })
    await patch(port, '/files/a', 'X-User: ann')
    await segment(port, '/files/b', 'bytes 0-3/15')

    expect((await segment(port, '/files/c', 'bytes 0-3/15', 'X-User: ann')).status).toBe(202)
  })

  it('include a finished resource that grows', async () => {
    const { port } = await serve({ owner, maxIncompletePerOwner: 1 })
    await patch(port, '/files/a', 'X-User: ann')
    await segment(port, '/files/b', 'bytes 0-3/15', 'X-User: ann')

    const refused = await segment(port, '/files/a', 'bytes */20', 'X-User: ann')

    expect(json(refused)).toMatchObject({ code: 'ERR_TOO_MANY_UPLOADS' })
    expect((await send(port, 'HEAD', '/files/a')).status).toBe(200)
  })
})

describe('close', () => {
  it('makes the stored bytes of uploads durable first', async () => {
    const storage = memoryStorage()
    const calls: string[] = []
    const flush = async (): Promise<void> => void calls.push('flush')
    const { port, uploads } = await serve({ storage: { ...storage, flush } })
    const upload = await beginPatch(port, '/files/a')

    const [answer] = await Promise.all([
      upload.answer('PATCH').finally(() => calls.push('answer')),
      uploads.close(),
    ])

    expect(answer.status).toBe(503)
    expect(calls).toContain('flush')
  })

  it('keeps the bytes that arrived, and reports them', async () => {
    const { port, uploads } = await serve()
    const upload = await beginPatch(port, '/files/a')

    const [answer] = await Promise.all([upload.answer('PATCH'), uploads.close()])

    expect(json(answer)).toMatchObject({ status: 503, code: 'ERR_CLOSING' })
    expect([field(answer, 'retry-after'), field(answer, 'connection')]).toEqual(['5', 'close'])
    expect(field(await send(port, 'HEAD', '/files/a'), 'content-range')).toBe('bytes 0-8/13')
  })

  it('refuses later uploads, and still serves reads', async () => {
    const { port, uploads } = await serve()
    await patch(port, '/files/a')

    await uploads.close()

    expect(json(await patch(port, '/files/b'))).toMatchObject({ code: 'ERR_CLOSING' })
    expect((await send(port, 'PUT', '/files/b')).status).toBe(503)
    expect((await send(port, 'GET', '/files/a')).body.toString()).toBe('abcdefghijklm')
    expect((await send(port, 'DELETE', '/files/a')).status).toBe(204)
  })

  it('lets an upload finish whose bytes have all arrived', async () => {
    let finish = (): void => undefined
    let reached = (): void => undefined
    const atHook = new Promise<void>((resolve) => {
      reached = resolve
    })
    const onComplete = () =>
      new Promise<void>((resolve) => {
        finish = resolve
        reached()
      })
    const { port, uploads } = await serve({ onComplete })
    const answer = patch(port, '/files/a')
    await atHook

    const closing = uploads.close()
    finish()

    expect((await answer).status).toBe(201)
    await closing
  })

  it('waits for the hook of an upload whose client has left', async () => {
    const hook = heldHook()
    const { port, uploads } = await serve({ onComplete: hook.run })
    const upload = await connect(port)
    const body = message('bytes 0-12/13', 'abcdefghijklm')
    upload.send(request('PATCH', '/files/a', [MESSAGE], body))
    await hook.reached
    upload.socket.resetAndDestroy()
    await expect.poll(() => hook.isClientGone()).toBe(true)
    let isClosed = false

    const closing = uploads.close().then(() => (isClosed = true))
    expect((await send(port, 'HEAD', '/files/a')).status).toBe(299)
    expect(isClosed).toBe(false)
    hook.end()
    await closing

    expect((await send(port, 'HEAD', '/files/a')).status).toBe(200)
  })

  it('stops waiting for a hook after a time', async () => {
    let reached = (): void => undefined
    const atHook = new Promise<void>((resolve) => {
      reached = resolve
    })
    const onComplete = () =>
      new Promise<void>(() => {
        reached()
      })
    const { port, uploads } = await serve({ onComplete })
    patch(port, '/files/a').catch(() => undefined)
    await atHook

    await uploads.close(20)

    expect((await send(port, 'HEAD', '/files/a')).status).toBe(299)
  })

  it('ends an upload that is read whole, and keeps nothing', async () => {
    const { port, uploads } = await serve()
    const upload = await connect(port)
    upload.send(request('PUT', '/files/a', ['Content-Length: 9'], 'abc'))
    await expect.poll(async () => (await send(port, 'HEAD', '/files/a')).status).toBe(404)

    const [answer] = await Promise.all([upload.answer('PUT'), uploads.close()])

    expect(json(answer)).toMatchObject({ code: 'ERR_CLOSING' })
    expect((await send(port, 'HEAD', '/files/a')).status).toBe(404)
  })
})

/** An `onComplete` that waits for `end` the first time that it is called. */
function heldHook() {
  let end = (): void => undefined
  let onReach = (): void => undefined
  let req: express.Request | undefined
  const ended = new Promise<void>((resolve) => (end = resolve))
  const reached = new Promise<void>((resolve) => (onReach = resolve))
  return {
    reached,
    end: () => end(),
    isClientGone: () => req?.socket.destroyed,
    run: async (request: express.Request) => {
      if (req !== undefined) return
      req = request
      onReach()
      await ended
    },
  }
}

interface Served {
  readonly port: number
  readonly uploads: Middleware<express.Request>
}

async function serve(options: Options = {}): Promise<Served> {
  const uploads = partialUpload<express.Request>({ storage: memoryStorage(), ...options })
  const app = express()
  app.use('/files', uploads)
  const server = prepareServer(http.createServer(app))
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, uploads }
}

async function connect(port: number): Promise<Connection> {
  const connection = await Connection.open(port)
  connections.push(connection)
  return connection
}

async function send(port: number, method: string, path: string): Promise<Answer> {
  return (await connect(port)).send(request(method, path)).answer(method)
}

/** A patch with `abcd`, or without data for `bytes *\/N`. */
async function segment(
  port: number,
  path: string,
  range: string,
  ...fields: readonly string[]
): Promise<Answer> {
  const connection = await connect(port)
  const body = message(range, range.includes('*/') ? '' : 'abcd')
  return connection.send(request('PATCH', path, [MESSAGE, ...fields], body)).answer('PATCH')
}

/** A whole upload of 13 bytes. */
async function patch(port: number, path: string, ...fields: readonly string[]): Promise<Answer> {
  const connection = await connect(port)
  const body = message('bytes 0-12/13', 'abcdefghijklm')
  return connection.send(request('PATCH', path, [MESSAGE, ...fields], body)).answer('PATCH')
}

/** The same without its last four bytes; resolves once the rest is stored. */
async function beginPatch(
  port: number,
  path: string,
  ...fields: readonly string[]
): Promise<Connection> {
  const connection = await connect(port)
  const body = message('bytes 0-12/13', 'abcdefghi')
  const length = `Content-Length: ${body.length + 4}`
  connection.send(request('PATCH', path, [MESSAGE, length, ...fields], body))
  await expect.poll(async () => field(await send(port, 'HEAD', path), 'content-length')).toBe('9')
  return connection
}
