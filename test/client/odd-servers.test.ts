import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

import { afterEach, describe, expect, test } from 'vitest'

import { digest } from '../support/digest.ts'
import { CLIENTS, KiB, MiB, pattern, TestClock, timing } from '../support/client/setup.ts'

const FILE = pattern(100 * KiB)

type Answer = readonly [status: number, headers?: http.OutgoingHttpHeaders, body?: string | Buffer]

describe.each(CLIENTS)('a server without this package, over %s', (_name, { upload, status }) => {
  const servers: http.Server[] = []

  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections()
      server.close()
    }
  })

  /**
   * Answers the requests of each method with the lines of its script in order, and repeats the last
   * line. Returns the URL and a log.
   */
  async function serve(script: Readonly<Record<string, readonly Answer[]>>) {
    const log: http.IncomingMessage[] = []
    const counts: Record<string, number> = {}
    const server = http.createServer((req, res) => {
      log.push(req)
      req.resume().on('end', () => {
        const method = req.method ?? ''
        const lines = script[method] ?? []
        const index = (counts[method] = (counts[method] ?? -1) + 1)
        const [code, headers, body] = lines[Math.min(index, lines.length - 1)] ?? [405]
        res.writeHead(code, headers).end(body)
      })
    })
    servers.push(server.listen(0, '127.0.0.1'))
    await once(server, 'listening')
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, log }
  }

  const incomplete = { 'Content-Length': 1000, 'Content-Range': `bytes 0-999/${FILE.length}` }
  const finished = { 'Content-Length': FILE.length }
  const fast = { random: () => 0, retries: 2 }

  test('that ignores Range is not read to its end', async () => {
    const { url } = await serve({
      HEAD: [[200, { 'Content-Length': FILE.length }]],
      GET: [[200, {}, Buffer.alloc(3 * MiB)]],
    })

    await expect(upload(url, FILE, fast).done).rejects.toMatchObject({ code: 'ERR_DIFFERENT' })
  })

  test('that sends more than was asked for is a different file', async () => {
    const { url } = await serve({
      HEAD: [[200, { 'Content-Length': FILE.length }]],
      GET: [[206, {}, Buffer.concat([FILE, Buffer.from('a')])]],
    })

    await expect(upload(url, FILE, fast).done).rejects.toMatchObject({ code: 'ERR_DIFFERENT' })
  })

  test('that changes the resource during a comparison is asked again', async () => {
    const { url, log } = await serve({
      HEAD: [[200, { 'Content-Length': FILE.length, ETag: '"a"' }]],
      GET: [[412], [503], [206, {}, FILE]],
    })

    expect((await upload(url, FILE, fast).done).status).toBe(200)
    expect(log.map(({ method }) => method).join(' ')).toBe(
      'HEAD HEAD GET HEAD HEAD GET HEAD HEAD GET',
    )
  })

  test('whose proxy weakens entity tags gets none back', async () => {
    const { url, log } = await serve({
      HEAD: [
        [299, { ...incomplete, ETag: 'W/"a"' }],
        [299, { ...incomplete, ETag: 'W/"a"', 'Repr-Digest': digest(FILE.subarray(0, 1000)) }],
        [200, { ...finished, ETag: 'W/"c"', 'Repr-Digest': digest(FILE) }],
      ],
      PATCH: [[202, { ETag: 'W/"b"' }], [201]],
    })

    await upload(url, FILE, { ...fast, segmentSize: 50 * KiB }).done

    expect(log.map(({ headers }) => headers['if-match'])).toEqual(log.map(() => undefined))
  })

  test.each([
    ['a changed copy', { overwrite: true }],
    ['a changed copy with its digest', { overwrite: true, reprDigest: true }],
  ])('and stores nothing of a PUT is not believed: %s', async (_case, options) => {
    // nginx gives this answer for a folder of files with `error_page 405 =200 $uri`.
    const old = Buffer.from(FILE).fill('x', 1000, 1007)
    const version = { ...finished, ETag: '"6b0afe8a-19000"', 'Accept-Ranges': 'bytes' }
    const { url } = await serve({
      HEAD: [[200, version]],
      GET: [
        [206, { ...version, 'Content-Range': `bytes 0-${FILE.length - 1}/${FILE.length}` }, old],
      ],
      PUT: [[200, version, old]],
      PATCH: [[200, version, old]],
    })

    const { done } = upload(url, FILE, { ...fast, ...options })

    await expect(done).rejects.toMatchObject({ code: 'ERR_DIFFERENT' })
  })

  test('that loses an upload between two requests gets it from the beginning', async () => {
    const { url, log } = await serve({
      HEAD: [[404], [404], [200, { ...finished, ETag: '"c"' }]],
      PATCH: [[200, { ETag: '"a"' }], [404], [200, { ETag: '"b"' }], [204, { ETag: '"c"' }]],
    })

    expect((await upload(url, FILE, { ...fast, segmentSize: 50 * KiB }).done).status).toBe(204)
    expect(log.map(({ method }) => method).join(' ')).toBe('HEAD PATCH PATCH HEAD PATCH PATCH HEAD')
  })

  test('that reports a gap is asked for the offset, and gets the rest', async () => {
    const gap = JSON.stringify({ code: 'ERR_GAP', 'expected-offset': 1000 })
    const { url, log } = await serve({
      HEAD: [
        [404],
        [299, { ...incomplete, ETag: '"b"', 'Repr-Digest': digest(FILE.subarray(0, 1000)) }],
      ],
      PATCH: [
        [202, { ETag: '"a"' }],
        [409, {}, gap],
        [202, { ETag: '"c"' }],
        [201, { ETag: '"d"', 'Upload-Length': FILE.length }],
      ],
    })

    const { done } = upload(url, FILE, { ...fast, segmentSize: 50 * KiB })

    expect((await done).status).toBe(201)
    const methods = log.map(({ method }) => method).join(' ')
    expect(methods).toBe('HEAD PATCH PATCH HEAD HEAD PATCH PATCH')
    expect(log.at(-2)?.headers['if-match']).toBe('"b"')
  })

  test('that reports a gap again and again is given up', async () => {
    const gap = JSON.stringify({ code: 'ERR_GAP', 'expected-offset': 500 })
    const { url, log } = await serve({
      HEAD: [[404], [299, incomplete]],
      GET: [[206, {}, FILE.subarray(0, 1000)]],
      PATCH: [[202], [409, {}, gap]],
    })

    const { done } = upload(url, FILE, { ...fast, segmentSize: 50 * KiB })

    await expect(done).rejects.toMatchObject({ status: 409, transient: true })
    expect(log.filter(({ method }) => method === 'PATCH')).toHaveLength(4)
  })

  test('that sends a 409 without an offset is given up at once', async () => {
    const { url, log } = await serve({
      HEAD: [[404]],
      PATCH: [[202], [409, {}, JSON.stringify({ code: 'ERR_GAP' })]],
    })

    const { done } = upload(url, FILE, { ...fast, segmentSize: 50 * KiB })

    await expect(done).rejects.toMatchObject({ status: 409, transient: false })
    expect(log.map(({ method }) => method).join(' ')).toBe('HEAD PATCH PATCH')
  })

  test('that hides its lengths can not be resumed', async () => {
    const { url } = await serve({ HEAD: [[299, { 'Transfer-Encoding': 'chunked' }]] })

    await expect(status(url)).rejects.toMatchObject({
      code: 'ERR_RESPONSE',
      message: 'HEAD was answered with 299, but no length',
    })
  })

  test('that sends the length only in the range is understood', async () => {
    const chunked = { 'Transfer-Encoding': 'chunked' }
    const { url } = await serve({
      HEAD: [
        [299, { ...chunked, 'Content-Range': 'bytes 0-9/*' }],
        [299, { ...chunked, 'Content-Range': 'bytes */7' }],
      ],
    })

    expect(await status(url)).toMatchObject({ size: 10, length: null, complete: false })
    expect(await status(url)).toMatchObject({ size: 0, length: 7, complete: false })
  })

  test('that takes all bytes, but never finishes, is given up', async () => {
    const all = { 'Content-Length': FILE.length, 'Content-Range': `bytes 0-99/*` }
    const { url, log } = await serve({
      HEAD: [[404], [299, all]],
      PATCH: [[202]],
    })

    await expect(upload(url, FILE, fast).done).rejects.toMatchObject({
      message: 'the last segment was answered with 202, but the upload is not complete',
    })
    expect(log.filter(({ method }) => method === 'PATCH')).toHaveLength(3)
  })

  test('that finds every segment too long makes the upload fail', async () => {
    const limit = JSON.stringify({ limit: 10 * MiB })
    const { url, log } = await serve({ HEAD: [[404]], PATCH: [[413, {}, limit]] })

    await expect(upload(url, FILE, fast).done).rejects.toMatchObject({ status: 413 })
    expect(log.filter(({ method }) => method === 'PATCH')).toHaveLength(17)
  })

  test('that refuses the removal makes an overwrite fail', async () => {
    const { url } = await serve({
      HEAD: [[299, { ...incomplete, 'Content-Range': 'bytes 0-999/1001', ETag: '"a"' }]],
      DELETE: [[403]],
    })

    await expect(upload(url, FILE, { overwrite: true }).done).rejects.toMatchObject({
      message: 'DELETE was answered with 403',
    })
  })

  test('that never answers is left alone after a while', async () => {
    const server = http.createServer(() => undefined)
    servers.push(server.listen(0, '127.0.0.1'))
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const clock = new TestClock()
    server.on('request', () => clock.expire())

    const failed = status(`http://127.0.0.1:${port}/`, {
      ...timing({ clock }),
      stallTimeout: 123_456,
      retries: 1,
    })

    await expect(failed).rejects.toMatchObject({ code: 'ERR_STALL', transient: true })
    expect(clock.waits).toEqual([])
  })
})

describe('a server that was asked before the content', () => {
  const [, { upload }] = CLIENTS[0]
  let server = http.createServer()

  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })

  /**
   * Calls `answer` for each `Expect`. Returns the URL, and the expectations of the requests with
   * content.
   */
  async function serve(answer: (req: http.IncomingMessage, res: http.ServerResponse) => void) {
    const expectations: unknown[] = []
    const note = ({ method, headers }: http.IncomingMessage) =>
      method === 'HEAD' || expectations.push(headers.expect)
    const finish = (req: http.IncomingMessage, res: http.ServerResponse) => {
      const status = req.method === 'HEAD' ? 404 : 201
      const fields = { ETag: `"${expectations.length}"`, 'Upload-Length': 1 }
      req.resume().on('end', () => res.writeHead(status, fields).end())
    }
    server = http.createServer(note).on('request', finish)
    server.on('checkContinue', note).on('checkContinue', answer)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    return { url: `http://127.0.0.1:${port}/`, expectations }
  }

  test('and does not know the expectation gets the content at once', async () => {
    const { url, expectations } = await serve((_req, res) => res.writeHead(417).end())

    const response = await upload(url, pattern(140 * KiB), { segmentSize: 70 * KiB - 0.5 }).done

    expect(response.status).toBe(201)
    expect(expectations).toEqual(['100-continue', undefined, undefined])
  })

  test('and does not answer the expectation is asked once in an upload', async () => {
    const { url, expectations } = await serve((req, res) => {
      req.resume().on('end', () => res.writeHead(202, { ETag: '"first"' }).end())
    })

    await upload(url, pattern(210 * KiB), { segmentSize: 70 * KiB, retries: 0 }).done

    expect(expectations).toEqual(['100-continue', undefined, undefined])
  })
})
