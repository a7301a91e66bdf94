import cors, { type CorsOptions } from 'cors'
import express, { type Request, type RequestHandler } from 'express'
import { partialUpload, type PartialUploadOptions } from 'partial-upload'
import type * as Client from 'partial-upload/client'
import type { UploadOptions } from 'partial-upload/client'
import { memoryStorage } from 'partial-upload/storage/memory'
import type { Page } from 'playwright-core'
import { describe, expect, onTestFinished, test, vi } from 'vitest'

import { CORS, createApp } from '../../examples/cors.ts'
import { Proxy } from '../support/client/proxy.ts'
import { portOf } from '../support/examples/serve.ts'
import { describeInChromium } from '../support/browser/chromium.ts'
import { serveApp, sharedPage } from '../support/browser/client-page.ts'

const MiB = 1024 * 1024
/** The smallest CORS configuration of an app. */
const LEAST = {
  methods: ['PATCH', 'DELETE'],
  allowedHeaders: [
    'Content-Type',
    'If-Match',
    'If-None-Match',
    'Want-Repr-Digest',
    'Content-Digest',
  ],
  exposedHeaders: [
    'Content-Disposition',
    'Content-Range',
    'ETag',
    'Repr-Digest',
    'Retry-After',
    'Upload-Length',
  ],
}

const FAILS = 'ERR_NETWORK'

// A browser, a server and a test share the processor with the other tests.
vi.setConfig({ testTimeout: 120_000 })

/** In the page. */
declare const client: typeof Client

describeInChromium('a page of another origin', () => {
  test('resumes after a cut', async () => {
    const { page, origin } = await start()
    const { server } = await serveApp(createApp(memoryStorage(), { ...CORS, origin }))
    const proxy = new Proxy()
    await proxy.start(portOf(server))
    onTestFinished(async () => proxy.stop())
    proxy.fail('PATCH', { kind: 'cut', after: 3 * MiB })

    const result = await page.evaluate(async (url) => {
      const bytes = new Uint8Array(5 * 1024 * 1024).map((_, index) => index >> 8)
      const response = await client.upload(url, new Blob([bytes])).done
      const stored = await (await fetch(url)).arrayBuffer()
      const isSame = new Uint8Array(stored).every((byte, index) => byte === bytes[index])
      return [response.status, stored.byteLength, isSame]
    }, `${proxy.origin}/files/a`)

    expect(result).toEqual([201, 5 * MiB, true])
    const rest = proxy.seen.findLast(({ method }) => method === 'PATCH')
    expect(rest?.start).toBeGreaterThan(2 * MiB)
    expect(rest?.headers).toHaveProperty('if-match')
  })

  test('reads the reason of a refused patch, and the state of the resource', async () => {
    const { page, origin } = await start()
    const { url } = await serveApp(createApp(memoryStorage(), { ...CORS, origin }))

    const result = await page.evaluate(async (target) => {
      await client.upload(target, new Blob(['hello'])).done
      const data = new Blob(['H'])
      const refused = async (work: Promise<unknown>): Promise<unknown> => {
        const error = await work.catch((reason: unknown) => reason)
        return error instanceof client.ClientError ? [error.status, error.problem] : error
      }
      const stale = await refused(client.patch(target, [{ start: 0, data }], { ifMatch: '"x"' }))
      const gap = await refused(client.patch(target, [{ start: 9, data }]))
      const before = await client.status(target)
      await client.patch(target, [{ start: 0, data }], { ifMatch: before?.etag ?? '' })
      const text = await (await fetch(target)).text()
      await client.remove(target)
      return { stale, gap, before, text, after: await client.status(target) }
    }, `${url}/files/a`)

    expect(result).toMatchObject({
      stale: [412, { code: 'ERR_PRECONDITION', received: 5, length: 5, complete: true }],
      gap: [409, { code: 'ERR_GAP', 'expected-offset': 5, 'provided-offset': 9 }],
      before: { size: 5, length: 5, complete: true },
      text: 'Hello',
      after: null,
    })
  })

  test.each([
    ['uploads where the server allows it to its origin', { credentials: true }, 201],
    [
      'does not where the server allows it to every origin',
      { credentials: true, origin: '*' },
      'ERR_NETWORK',
    ],
    ['does not where the server allows it to none', {}, 'ERR_NETWORK'],
  ])('with a cookie %s', async (_where, options, expected) => {
    const { page, origin } = await start()
    const url = await serve({ ...CORS, origin, ...options }, { key: keyFor('cookie', 's=ann') })
    await page.context().addCookies([{ name: 's', value: 'ann', url }])

    expect(await upload(page, `${url}/a`, { credentials: 'include' })).toBe(expected)
  })

  test.each([
    ['uploads where no list says what is allowed', {}, 201],
    [
      'uploads where it is on the list',
      { allowedHeaders: [...LEAST.allowedHeaders, 'Authorization'] },
      201,
    ],
    ['does not where it is not on the list', LEAST, 'ERR_NETWORK'],
  ])('with Authorization %s', async (_where, options, expected) => {
    const { page, origin } = await start()
    const key = keyFor('authorization', 'Bearer ann')
    const url = await serve({ ...CORS, ...options, origin }, { key })

    expect(await upload(page, `${url}/a`, { headers: { Authorization: 'Bearer ann' } })).toBe(
      expected,
    )
  })

  describe('needs', () => {
    test.each([
      ['no more than this', {}, { create: 201, resume: 201, remove: 'done' }],
      ['PATCH', without('methods', 'PATCH'), { create: FAILS, resume: FAILS, remove: 'done' }],
      ['DELETE', without('methods', 'DELETE'), { create: 201, resume: 201, remove: FAILS }],
      ['Content-Type', without('allowedHeaders', 'Content-Type'), { create: FAILS, resume: FAILS }],
      ['If-None-Match', without('allowedHeaders', 'If-None-Match'), { create: FAILS, resume: 201 }],
      ['If-Match', without('allowedHeaders', 'If-Match'), { create: 201, resume: FAILS }],
      [
        'Want-Repr-Digest',
        without('allowedHeaders', 'Want-Repr-Digest'),
        { create: 201, resume: FAILS },
      ],
      ['Content-Digest', without('allowedHeaders', 'Content-Digest'), { create: FAILS }],
    ])('%s', async (_what, options, expected) => {
      const { page, origin } = await start()
      const url = await serve({ origin, ...LEAST, ...options })
      for (const name of ['begun', 'old']) await begin(`${url}/${name}`)

      const result = await page.evaluate(async (folder) => {
        const file = new Blob([new Uint8Array(100_000)])
        const options = { retries: 0, contentDigest: true }
        const codeOf = (error: unknown): unknown => (error as Client.ClientError).code
        const send = async (name: string) =>
          client
            .upload(`${folder}/${name}`, file, options)
            .done.then(({ status }) => status, codeOf)
        const remove = client.remove(`${folder}/old`, { retries: 0 }).then(() => 'done', codeOf)
        return { create: await send('new'), resume: await send('begun'), remove: await remove }
      }, url)

      expect(result).toMatchObject(expected)
    })
  })

  test.each([
    ['resumes with If-Match where ETag is exposed', {}, expect.any(String)],
    ['resumes without If-Match where ETag is hidden', without('exposedHeaders', 'ETag'), undefined],
  ])('%s', async (_what, options, expected) => {
    const { page, origin } = await start()
    const conditions: unknown[] = []
    const url = await serve({ ...CORS, origin, ...options }, {}, ({ method, headers }) => {
      if (method === 'PATCH') conditions.push(headers['if-match'])
    })
    await begin(`${url}/a`)

    await upload(page, `${url}/a`)

    expect(conditions).toEqual([undefined, expected])
  })

  test.each([
    ['resumes where 200 means incomplete and Content-Range is exposed', {}, 200],
    [
      'resumes where 200 means incomplete and Upload-Length is exposed',
      without('exposedHeaders', 'Content-Range'),
      200,
    ],
    [
      'treats the prefix as a finished file where Content-Range and Upload-Length are hidden',
      { exposedHeaders: ['ETag', 'Repr-Digest', 'Retry-After'] },
      'ERR_DIFFERENT',
    ],
  ])('%s', async (_what, options, expected) => {
    const { page, origin } = await start()
    const url = await serve({ ...CORS, origin, ...options }, { preset: 'ietf' })
    await begin(`${url}/a`)

    expect(await upload(page, `${url}/a`)).toBe(expected)
  })

  test.each([
    ['resumes by a digest where Repr-Digest is exposed', {}, []],
    [
      'reads the stored bytes where Repr-Digest is hidden',
      without('exposedHeaders', 'Repr-Digest'),
      ['bytes=0-4'],
    ],
  ])('%s', async (_what, options, expected) => {
    const { page, origin } = await start()
    const ranges: unknown[] = []
    const url = await serve({ ...CORS, origin, ...options }, {}, ({ method, headers }) => {
      if (method === 'GET') ranges.push(headers.range)
    })
    await begin(`${url}/a`)

    expect(await upload(page, `${url}/a`)).toBe(201)
    expect(ranges).toEqual(expected)
  })

  test.each([
    ['waits for a lock where Retry-After is exposed', {}, 201],
    [
      'treats a lock as a refusal where Retry-After is hidden',
      without('exposedHeaders', 'Retry-After'),
      'ERR_RESPONSE',
    ],
  ])('%s', async (_what, options, expected) => {
    const { page, origin } = await start()
    let isLocked = true
    const url = await serve({ ...CORS, origin, ...options }, {}, ({ method }, res) => {
      if (method !== 'PATCH' || !isLocked) return
      isLocked = false
      res.set({ 'Retry-After': '0', Connection: 'close' }).sendStatus(409)
    })

    expect(await upload(page, `${url}/a`)).toBe(expected)
  })
})

/** The test replaces the server; the page stays open. */
async function start(): Promise<{ readonly page: Page; readonly origin: string }> {
  const page = await sharedPage()
  return { page, origin: new URL(page.url()).origin }
}

/** Serves a folder with other rules than those of the example. */
async function serve(
  rules: CorsOptions,
  options: Partial<PartialUploadOptions<Request>> = {},
  look: (...args: Parameters<RequestHandler>) => void = () => undefined,
): Promise<string> {
  const app = express()
  app.use('/files', cors(rules), (req, res, next) => {
    look(req, res, next)
    if (!res.headersSent) next()
  })
  app.use('/files', partialUpload({ storage: memoryStorage(), ...options }))
  const { url } = await serveApp(app)
  return `${url}/files`
}

/** Only requests with this field are let in. */
function keyFor(name: string, value: string) {
  return (req: Request, path: string | null) => (req.headers[name] === value ? path : null)
}

/** `LEAST` without one name of one list. */
function without(list: keyof typeof LEAST, name: string): CorsOptions {
  return { [list]: LEAST[list].filter((other) => other !== name) }
}

/** Leaves the beginning of a file of 100 000 zeros. */
async function begin(url: string): Promise<void> {
  const headers = { 'Content-Type': 'message/byteranges' }
  const body = 'Content-Range: bytes 0-4/100000\r\n\r\n\0\0\0\0\0'
  await fetch(url, { method: 'PATCH', headers, body })
}

/** Uploads 100 000 zeros, and resolves with the status or the code of the error. */
async function upload(page: Page, url: string, options: UploadOptions = {}): Promise<unknown> {
  return page.evaluate(
    async ([target, given]) => {
      const file = new Blob([new Uint8Array(100_000)])
      const { done } = client.upload(target, file, { retries: 1, minDelay: 0, ...given })
      return done.then(
        ({ status }) => status,
        (error: unknown) => (error as Client.ClientError).code,
      )
    },
    [url, options] as const,
  )
}
