import { describe, expect, it } from 'vitest'

import { UploadError } from '../src/errors.ts'
import { RefusedError, callHook } from '../src/hooks.ts'
import { bodyOf, handlerFor, patch, request, type Options } from './support/plain.ts'
import { WatchedStorage } from './support/watched-storage.ts'

const NAMED = "Content-Disposition: attachment; filename*=UTF-8''a%2Fb%20%C3%BC"

/** An error with the manners of http-errors. */
function httpError(status: unknown, expose: unknown): Error {
  return Object.assign(new Error('said so'), { status, expose })
}

describe('a hook', () => {
  it('returns its result', async () => {
    await expect(callHook(() => Promise.resolve(7))).resolves.toBe(7)
  })

  it.each([
    [httpError(402, true), 402],
    [httpError(403, true), 403],
    [httpError(503, true), 503],
    [new RefusedError(451, 'said so'), 451],
  ])('refuses by %s with status %i', async (thrown, status) => {
    const refuse = async () => {
      throw thrown
    }

    await expect(callHook(refuse)).rejects.toMatchObject({
      name: 'UploadError',
      code: 'ERR_REFUSED',
      status,
      message: 'said so',
      keep: false,
    })
  })

  it.each([
    new Error('a bug'),
    httpError(500, false),
    httpError(403, false),
    httpError('403', true),
    httpError(200, true),
    httpError(403.5, true),
    httpError(600, true),
    'a string',
    undefined,
  ])('fails by %s, which is passed on unchanged', async (thrown) => {
    const fail = async () => {
      throw thrown as Error
    }

    const [failed] = await Promise.allSettled([callHook(fail)])

    expect(failed).toEqual({ status: 'rejected', reason: thrown })
  })

  it('passes on an UploadError unchanged', async () => {
    const error = new UploadError('ERR_STORAGE_FULL', { detail: 'over quota' })

    await expect(callHook(() => Promise.reject(error))).rejects.toBe(error)
  })
})

describe('a refusal', () => {
  it.each([399, 600, 200, 422.5, Number.NaN])('cannot have the status %d', (status) => {
    expect(() => new RefusedError(status, 'no')).toThrow(TypeError)
  })
})

describe('onCreate', () => {
  it.each([
    ['PATCH', patch('bytes 0-3/10', 'abcd'), 10, null],
    ['PATCH of unknown length', patch('bytes 0-3/*', 'abcd'), null, null],
    ['PATCH of a length', patch('bytes */10'), 10, null],
    ['PATCH with a type', patch('bytes 0-3/10\r\nContent-Type: text/css', 'abcd'), 10, 'text/css'],
    ['multipart PATCH', multipart('2-3/4', 'cd', '0-1/4', 'ab'), 4, null],
    ['PATCH with a name', patch(`bytes 0-3/10\r\n${NAMED}`, 'abcd'), 10, null, 'b ü'],
    ['PUT', put({ 'Content-Length': '3', 'Content-Type': 'text/plain' }), 3, 'text/plain'],
    ['PUT with a name', put({ 'Content-Disposition': 'inline; filename=b' }), 0, null, 'b'],
    ['chunked PUT', put({ 'Transfer-Encoding': 'chunked' }), null, null],
  ])(
    'is called once by a %s, before anything is stored',
    async (_what, change, length, type, name: string | null = null) => {
      const { storage, created, send } = serve()

      await send(change)

      expect(created).toEqual([{ key: 'a', length, contentType: type, name, stored: null }])
      expect(storage.openWriters).toBe(0)
    },
  )

  it('is not called for a resource that exists', async () => {
    const { created, send } = serve()
    await send(patch('bytes 0-3/10', 'abcd'))
    created.length = 0

    await send(patch('bytes 4-9/10', 'efghij'))
    await send(patch('bytes 0-0/10', 'X'))
    await send(put({ 'Content-Length': '3' }))

    expect(created).toEqual([])
  })

  it.each([
    ['a gap', patch('bytes 4-5/10', 'ef')],
    ['a false precondition', patch('bytes 0-3/10', 'abcd', { headers: { 'If-Match': '*' } })],
    ['a malformed document', patch('bytes 0-3/2', 'abcd')],
  ])('is not called for a request that fails by %s', async (_what, change) => {
    const { created, send } = serve()

    const answer = await send(change)

    expect(answer.status).toBeGreaterThan(399)
    expect(created).toEqual([])
  })

  it.each([
    ['PATCH', patch('bytes 0-3/10', 'abcd')],
    ['atomic PATCH', patch('bytes 0-3/10', 'abcd', { headers: { Prefer: 'transaction=atomic' } })],
    ['multipart PATCH', multipart('0-1/4', 'ab', '2-3/4', 'cd')],
    ['PUT', put({ 'Content-Length': '3' })],
    ['persistent PUT', put({ 'Content-Length': '3', Prefer: 'transaction=persist' })],
  ])('that refuses a %s leaves nothing', async (_name, change) => {
    const { storage, send } = serve(() => {
      throw new RefusedError(403, 'not yours')
    })

    const answer = await send(change)

    expect(answer.status).toBe(403)
    expect(JSON.parse(await bodyOf(answer))).toMatchObject({ detail: 'not yours' })
    expect(await storage.head('a')).toBeNull()
    expect(storage.steps).not.toContain('write')
    expect(storage.openWriters).toBe(0)
  })

  it.each([patch('bytes 0-3/10', 'abcd'), put({ 'Content-Length': '3' })])(
    'that fails leaves nothing, not even a lock',
    async (change) => {
      const failure = new Error('the database is down')
      let calls = 0
      const { storage, send } = serve(
        () => {
          calls += 1
          if (calls === 1) throw failure
        },
        { lockTimeout: 0 },
      )

      await expect(send(change)).rejects.toBe(failure)

      expect([await storage.head('a'), storage.openWriters]).toEqual([null, 0])
      await expect(send(patch('bytes 0-3/10', 'abcd'))).resolves.toMatchObject({ status: 202 })
    },
  )
})

function serve(onCreate: () => void = () => undefined, options: Options = {}) {
  const storage = new WatchedStorage()
  const handle = handlerFor(storage, options)
  const created: object[] = []
  const hooks = {
    onCreate: async (resource: object) => {
      created.push({ ...resource, stored: await storage.head('a') })
      onCreate()
    },
    onComplete: () => Promise.resolve(null),
    onPublished: null,
    onRemoved: () => Promise.resolve(),
  }
  return {
    storage,
    created,
    send: (change: ReturnType<typeof patch>) => handle({ ...change, hooks }),
  }
}

function put(headers: Record<string, string>) {
  return request({ method: 'PUT', headers, body: ['new'] })
}

function multipart(...parts: string[]) {
  let body = ''
  for (let at = 0; at < parts.length; at += 2) {
    body += `--SEP\r\nContent-Range: bytes ${parts[at]}\r\n\r\n${parts[at + 1]}\r\n`
  }
  body += '--SEP--\r\n'
  return request({
    method: 'PATCH',
    headers: {
      'Content-Type': 'multipart/byteranges; boundary=SEP',
      'Content-Length': String(body.length),
    },
    body: [body],
  })
}
