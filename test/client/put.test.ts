import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

import { afterEach, describe, expect, test } from 'vitest'

import { CLIENTS, KiB, MiB, pattern, timing } from '../support/client/setup.ts'

const FILE = pattern(3 * MiB)

/** A server without `PATCH`. It has `PUT`, `HEAD` and `GET` with a range for one file. */
class PlainServer {
  /** The requests and their statuses, such as `PATCH 405`. */
  readonly story: string[] = []
  stored: Buffer | null = null
  type = ''
  /** Fields of the last `PUT`. */
  fields: http.IncomingHttpHeaders = {}
  /** Cuts this number of `PUT` requests in the middle. */
  cuts = 0
  readonly #refusal: number
  readonly #server = http.createServer((req, res) => void this.#handle(req, res))

  constructor(refusal: number) {
    this.#refusal = refusal
  }

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/a`
  }

  stop(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  async #handle(req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of req.on('error', () => undefined)) {
      chunks.push(chunk as Buffer)
      size += (chunk as Buffer).length
      if (req.method === 'PUT' && this.cuts > 0 && size > MiB) {
        this.cuts -= 1
        this.story.push('PUT cut')
        req.socket.destroy()
        return
      }
    }
    const status = this.#answer(req, Buffer.concat(chunks))
    this.story.push(`${req.method} ${status}`)
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? '') ?? []
    const whole = status === 200 || status === 206 ? this.stored! : Buffer.alloc(0)
    const body = status === 206 ? whole.subarray(Number(first), Number(last) + 1) : whole
    res.writeHead(status, { 'Content-Length': body.length })
    res.end(req.method === 'HEAD' ? undefined : body)
  }

  #answer({ method, headers }: http.IncomingMessage, content: Buffer): number {
    if (method === 'PATCH') return this.#refusal
    if (method !== 'PUT' && this.stored === null) return 404
    if (method === 'HEAD') return 200
    if (method === 'GET') return 206
    if (headers['if-none-match'] === '*' && this.stored !== null) return 412
    this.stored = content
    this.fields = headers
    return 201
  }
}

describe.each(CLIENTS)('upload over %s to a server without PATCH', (_name, { upload }) => {
  const servers: PlainServer[] = []
  const fast = timing({ random: () => 0 })

  afterEach(() => {
    for (const server of servers.splice(0)) server.stop()
  })

  async function serve(refusal: number): Promise<{ server: PlainServer; url: string }> {
    const server = new PlainServer(refusal)
    servers.push(server)
    return { server, url: await server.start() }
  }

  test.each([405, 415, 501])('sends the whole file with PUT after a %i', async (refusal) => {
    const { server, url } = await serve(refusal)
    const source = new Blob([FILE], { type: 'video/mp4' })

    const response = await upload(url, source, fast).done

    expect(response.status).toBe(201)
    expect(server.stored?.equals(FILE)).toBe(true)
    expect(server.story.slice(0, 4)).toEqual([
      'HEAD 404',
      `PATCH ${refusal}`,
      'HEAD 404',
      'PUT 201',
    ])
    // The answer has no entity tag, so that the client asks with HEAD. This server reports no
    // digest.
    expect(server.story.slice(4, 7)).toEqual(['HEAD 200', 'HEAD 200', 'GET 206'])
    expect(server.fields).toMatchObject({ 'content-type': 'video/mp4', 'if-none-match': '*' })
  })

  test('begins again after a cut, and reports its progress', async () => {
    const { server, url } = await serve(405)
    server.cuts = 1
    const reports: number[] = []

    await upload(url, FILE, { ...fast, onProgress: ({ sent }) => reports.push(sent) }).done

    expect(server.stored?.equals(FILE)).toBe(true)
    expect(server.story.slice(2, 6)).toEqual(['HEAD 404', 'PUT cut', 'HEAD 404', 'PUT 201'])
    expect(reports.at(-1)).toBe(FILE.length)
  })

  test('does not replace a different file', async () => {
    const { server, url } = await serve(405)
    server.stored = pattern(FILE.length, 3)

    await expect(upload(url, FILE, fast).done).rejects.toMatchObject({ code: 'ERR_DIFFERENT' })
    expect(server.story).toEqual(['HEAD 200', 'HEAD 200', 'GET 206'])
  })

  test('sends digests of the content and of the whole file', async () => {
    const { server, url } = await serve(405)

    await upload(url, FILE, { ...fast, contentDigest: true, reprDigest: true }).done

    const digest = Buffer.from(await crypto.subtle.digest('SHA-256', FILE)).toString('base64')
    expect(server.fields).toMatchObject({
      'content-digest': `sha-256=:${digest}:`,
      'repr-digest': `sha-256=:${digest}:`,
    })
  })

  test('sends a stream that fits into one segment, and fails with a longer one', async () => {
    const { server, url } = await serve(405)
    const short = upload(url, new Blob([FILE]).stream(), fast)
    const response = await short.done
    const longer = new Blob([FILE]).stream()

    expect(response.status).toBe(201)
    expect(server.stored?.equals(FILE)).toBe(true)
    server.stored = null
    const failed = upload(url, longer, { ...fast, segmentSize: 100 * KiB })
    await expect(failed.done).rejects.toMatchObject({ status: 405 })
  })

  test('fails with the answer to PUT', async () => {
    const server = http.createServer((req, res) => {
      req.resume().on('end', () => res.writeHead(req.method === 'HEAD' ? 404 : 405).end())
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo

    await expect(upload(`http://127.0.0.1:${port}/`, FILE, fast).done).rejects.toMatchObject({
      message: 'PUT was answered with 405',
    })
    server.closeAllConnections()
    server.close()
  })
})
