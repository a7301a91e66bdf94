import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

import * as web from 'partial-upload/client'
import { remove, upload, status } from 'partial-upload/client/node'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'

import { MiB, pattern, timing, useBench } from '../support/client/setup.ts'

const FILE = pattern(3 * MiB)

describe('a redirection over node:http', () => {
  const bench = useBench()
  const servers: http.Server[] = []

  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections()
      server.close()
    }
  })

  /** A server that only redirects. Resolves with its URL, and counts its requests. */
  async function redirect(code: number, location: string) {
    const got = { requests: 0, bytes: 0 }
    const server = http.createServer((req, res) => answer(req, res))
    // With this listener Node does not send 100 Continue by itself.
    server.on('checkContinue', (req, res) => answer(req, res))
    servers.push(server.listen(0, '127.0.0.1'))
    await once(server, 'listening')

    function answer(req: http.IncomingMessage, res: http.ServerResponse): void {
      got.requests += 1
      req.on('data', (chunk: Buffer) => (got.bytes += chunk.length))
      res.writeHead(code, { Location: location }).end()
    }

    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/a`, got }
  }

  test.each([301, 302, 307, 308])('with %i is followed with method and content', async (code) => {
    const { url, got } = await redirect(code, bench.url)

    const response = await upload(url, FILE, bench.options).done

    expect(response.status).toBe(201)
    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(bench.proxy.seen.map(({ method }) => method)).toEqual(['HEAD', 'PATCH'])
    expect(got).toEqual({ requests: 2, bytes: 0 })
  })

  test('resumes after a cut behind the redirection', async () => {
    bench.proxy.fail('PATCH', { kind: 'cut', after: MiB })
    const { url } = await redirect(307, bench.url)

    await upload(url, FILE, bench.options).done

    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(bench.proxy.seen.filter(({ start }) => start === 0)).toHaveLength(1)
  })

  test('may be relative to the URL that it comes from', async () => {
    const { port, pathname } = new URL(bench.url)
    const { url } = await redirect(307, `//127.0.0.1:${port}${pathname}`)

    await upload(url, FILE, bench.options).done

    expect((await bench.stored()).equals(FILE)).toBe(true)
  })

  test('passes credentials to the same origin only', async () => {
    const headers = { Authorization: 'Bearer t', Cookie: 'a=b', 'X-Own': 'c' }
    const { url } = await redirect(308, bench.url)
    bench.proxy.fail('HEAD', { kind: 'first', act: () => undefined })
    bench.proxy.fail('HEAD', {
      kind: 'answer',
      status: 308,
      headers: { Location: new URL(bench.url).pathname },
    })

    await upload(url, FILE, { ...bench.options, headers }).done
    await status(bench.url, { headers })

    const fields = bench.proxy.seen.map((request) => [
      request.headers.authorization,
      request.headers.cookie,
      request.headers['x-own'],
    ])
    expect(fields).toEqual([
      [undefined, undefined, 'c'],
      [undefined, undefined, 'c'],
      // Redirected within the origin.
      ['Bearer t', 'a=b', 'c'],
      ['Bearer t', 'a=b', 'c'],
    ])
  })

  test.each(['ftp://127.0.0.1/', 'http://:0:/', ''])(
    'to %j is returned as the answer',
    async (location) => {
      const { url } = await redirect(307, location)

      await expect(upload(url, FILE, bench.options).done).rejects.toMatchObject({
        message: 'HEAD was answered with 307',
      })
    },
  )

  test('in a circle fails', async () => {
    const { url, got } = await redirect(307, '/a')

    await expect(status(url)).rejects.toMatchObject({ status: 307 })
    expect(got.requests).toBe(21)
  })

  test('with 303 is followed with GET and HEAD only', async () => {
    const { url } = await redirect(303, bench.url)

    await expect(status(url)).resolves.toBeNull()
    await expect(upload(url, FILE, bench.options).done).rejects.toMatchObject({
      message: 'PATCH was answered with 303',
    })
  })

  test('with 303 removes nothing at the other place', async () => {
    await upload(bench.url, FILE, bench.options).done
    const { url } = await redirect(303, bench.url)

    await expect(remove(url)).rejects.toMatchObject({ message: 'DELETE was answered with 303' })
    expect((await bench.stored()).equals(FILE)).toBe(true)
  })
})

describe('a redirection with 303 over fetch, which follows it with GET', () => {
  const fast = { ...timing({ random: () => 0 }), retries: 1 }

  /**
   * Redirects each change to another resource. That answers GET like a finished upload, and HEAD
   * with `status`.
   */
  async function serve(code: number) {
    const fields = { ETag: '"other"', 'Upload-Length': FILE.length, 'Last-Modified': 'now' }
    const server = http.createServer((req, res) => {
      req.resume().on('end', () => {
        if (req.method === 'HEAD') res.writeHead(code, { 'Content-Length': 5, ETag: '"a"' })
        else if (req.method === 'GET') res.writeHead(200, fields)
        else res.writeHead(303, { Location: '/other' })
        res.end()
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/a`
  }

  test.each([FILE.length, 10])('has stored nothing of %i bytes', async (size) => {
    const { done } = web.upload(await serve(404), FILE.subarray(0, size), fast)

    await expect(done).rejects.toMatchObject({ code: 'ERR_RESPONSE' })
  })

  test('has changed nothing', async () => {
    const failed = web.patch(await serve(200), [{ start: 0, data: FILE.subarray(0, 5) }], fast)

    await expect(failed).rejects.toMatchObject({ code: 'ERR_UNVERIFIED' })
  })

  test('has removed a resource only if HEAD no longer finds it', async () => {
    await expect(web.remove(await serve(200))).rejects.toMatchObject({
      message: 'DELETE was answered with 200, but the resource still exists',
    })
    expect(await web.remove(await serve(404))).toBe(true)
  })
})
