import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

import { describe, expect, onTestFinished, test } from 'vitest'

import { CLIENTS, KiB, MiB, pattern, useBench } from '../support/client/setup.ts'

const FILE = pattern(3 * MiB)
const MODIFIED = 'Thu, 01 Jan 2026 00:00:00 GMT'
/** Differs from `FILE` in one byte in the middle. */
const EDITED = edited(FILE)

function edited(bytes: Buffer, position: number = bytes.length / 2): Buffer {
  const copy = Buffer.from(bytes)
  copy[position]! ^= 1
  return copy
}

describe.each(CLIENTS)('an edited file of the same size over %s', (_name, { upload }) => {
  const bench = useBench()

  test.each([FILE.length, 100 * KiB])(
    'is not treated as the finished one (%i bytes)',
    async (size) => {
      const old = FILE.subarray(0, size)
      await bench.storePrefix(old, size)

      const failed = upload(bench.url, edited(old), bench.options).done

      await expect(failed).rejects.toMatchObject({ code: 'ERR_DIFFERENT', transient: false })
      expect((await bench.stored()).equals(old)).toBe(true)
    },
  )

  test.each([
    {},
    { reprDigest: true },
    { contentDigest: true },
    { reprDigest: true, contentDigest: true, segmentSize: MiB },
  ])('replaces the finished one with overwrite and %j', async (options) => {
    await bench.storePrefix(FILE, FILE.length)

    await upload(bench.url, EDITED, { ...bench.options, ...options, overwrite: true }).done

    expect((await bench.stored()).equals(EDITED)).toBe(true)
  })

  test('is not completed with the beginning of the old one', async () => {
    await bench.storePrefix(FILE, 2 * MiB)

    const failed = upload(bench.url, EDITED, bench.options).done

    await expect(failed).rejects.toMatchObject({ code: 'ERR_DIFFERENT' })
    expect(await bench.state()).toBe(`I(${2 * MiB}/${FILE.length})`)
  })

  test('replaces the beginning of the old one with overwrite', async () => {
    await bench.storePrefix(FILE, 2 * MiB)

    await upload(bench.url, EDITED, { ...bench.options, overwrite: true }).done

    expect((await bench.stored()).equals(EDITED)).toBe(true)
  })

  test('is recognized by the digest of a stored beginning that can not be read', async () => {
    await bench.configure({ exposeIncomplete: false })
    await bench.storePrefix(FILE, 2 * MiB)

    const failed = upload(bench.url, edited(FILE, MiB), bench.options).done

    await expect(failed).rejects.toMatchObject({ code: 'ERR_DIFFERENT' })
    expect(await bench.state()).toBe(`I(${2 * MiB}/${FILE.length})`)
  })

  test('does not replace a small file that can not be read, after a 412', async () => {
    const small = FILE.subarray(0, 10 * KiB)
    await bench.configure({ exposeIncomplete: false })
    await bench.storePrefix(small, 4 * KiB)

    const failed = upload(bench.url, edited(small, 10), bench.options).done

    await expect(failed).rejects.toMatchObject({ code: 'ERR_DIFFERENT' })
    expect(await bench.state()).toBe(`I(${4 * KiB}/${small.length})`)
  })

  test.each([false, true])(
    'replaces an incomplete upload that can not be compared only with overwrite: %s',
    async (overwrite) => {
      const small = FILE.subarray(0, 10 * KiB)
      const changed = edited(small, 10)
      await bench.configure({ exposeIncomplete: false })
      await bench.storePrefix(small, 4 * KiB)
      const { headers } = await fetch(bench.direct, { method: 'HEAD' })
      const fields = {
        ETag: headers.get('etag')!,
        'Content-Length': 4 * KiB,
        'Upload-Length': 10 * KiB,
      }
      const withoutDigest = { kind: 'answer', status: 299, headers: fields } as const
      bench.proxy.fail('HEAD', withoutDigest).fail('HEAD', withoutDigest)

      const { done } = upload(bench.url, changed, { ...bench.options, overwrite })

      if (overwrite) {
        await done
        expect((await bench.stored()).equals(changed)).toBe(true)
      } else {
        await expect(done).rejects.toMatchObject({ code: 'ERR_UNVERIFIED' })
        expect(await bench.state()).toBe(`I(${4 * KiB}/${small.length})`)
      }
    },
  )
})

describe.each(CLIENTS)('an overwrite over %s', (_name, { upload }) => {
  const bench = useBench()
  const other = pattern(FILE.length, 3)

  test('keeps the old file until the new one is complete', async () => {
    await bench.storePrefix(other, other.length)
    bench.proxy.fail('PUT', { kind: 'cut', after: MiB })
    const states: string[] = []
    const seen: Promise<boolean>[] = []

    await upload(bench.url, FILE, {
      ...bench.options,
      overwrite: true,
      onState: ({ state }) => {
        states.push(state)
        if (state === 'waiting') seen.push(bench.stored().then((bytes) => bytes.equals(other)))
      },
    }).done

    expect(states).toContain('waiting')
    expect(await Promise.all(seen)).toEqual([true])
    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(bench.proxy.summaries('DELETE')).toEqual([])
  })

  test('sends nothing if a digest proves that the file is the same', async () => {
    await bench.storePrefix(FILE, FILE.length)
    const running = upload(bench.url, FILE, { ...bench.options, overwrite: true })

    await running.done

    expect(running.status).toEqual({ state: 'done', isUnchanged: true })
    expect(bench.proxy.sent).toBe(0)
  })

  test('advises what to do where PUT is not allowed', async () => {
    await bench.configure({ put: false })
    await bench.storePrefix(other, other.length)

    const failed = upload(bench.url, FILE, { ...bench.options, overwrite: true }).done

    await expect(failed).rejects.toMatchObject({
      code: 'ERR_RESPONSE',
      message: expect.stringContaining('remove the file first') as string,
    })
    expect((await bench.stored()).equals(other)).toBe(true)
  })

  test('takes a stream that fits into a segment, and refuses a longer one', async () => {
    await bench.storePrefix(other, other.length)
    const options = { ...bench.options, overwrite: true }

    const longer = upload(bench.url, new Blob([FILE]).stream(), { ...options, segmentSize: MiB })
    await expect(longer.done).rejects.toMatchObject({ code: 'ERR_SOURCE' })
    expect((await bench.stored()).equals(other)).toBe(true)
    await upload(bench.url, new Blob([FILE]).stream(), options).done
    expect((await bench.stored()).equals(FILE)).toBe(true)
  })
})

describe.each(CLIENTS)('bytes of another client over %s', (_name, { upload, status }) => {
  const bench = useBench()
  /** Begins like `FILE`. */
  const other = Buffer.concat([FILE.subarray(0, 4 * KiB), pattern(FILE.length - 4 * KiB, 3)])

  test('are not treated as its own because a refused request carried as many', async () => {
    await bench.storePrefix(other, 4 * KiB)
    const headers = { 'Retry-After': '1' }
    bench.proxy.fail('PATCH', { kind: 'answer', status: 409, headers })

    const failed = upload(bench.url, FILE, {
      ...bench.options,
      onState: ({ state }) => {
        // While this client waits to retry, the other client extends its upload to 64 KiB.
        if (state === 'waiting') bench.proxy.fail('HEAD', { kind: 'first', act: more })
      },
    }).done
    const more = async (): Promise<void> => bench.storePrefix(other, 64 * KiB)

    await expect(failed).rejects.toMatchObject({ code: 'ERR_DIFFERENT' })
    expect(await status(bench.direct)).toMatchObject({ size: 64 * KiB, complete: false })
  })

  test('under the same name, date and length are not treated as its own', async () => {
    const about = { type: 'a/b', lastModified: 1_700_000_000_000 }
    const controller = new AbortController()
    bench.proxy.fail('PATCH', { kind: 'stall', after: MiB })
    const first = upload(bench.url, new File([FILE], 'a.bin', about), {
      ...bench.options,
      signal: controller.signal,
    }).done
    await bench.proxy.stalled()
    controller.abort()
    await expect(first).rejects.toBe(controller.signal.reason)
    await expect.poll(() => bench.state()).toMatch(/^I/)
    const changed = edited(FILE, 1000)

    const file = new File([changed], 'a.bin', about)
    await upload(bench.url, file, { ...bench.options, overwrite: true }).done

    expect((await bench.stored()).equals(changed)).toBe(true)
  })
})

describe.each(CLIENTS)('an answer of success over %s', (_name, { upload, patch, remove }) => {
  const page = '<!doctype html><title>Sign in</title>'

  /** Answers every request the same way. */
  async function serve(status: number, headers: http.OutgoingHttpHeaders, body: string) {
    const server = http.createServer((req, res) => {
      req.resume().on('end', () => {
        res.writeHead(status, { ...headers, 'Content-Length': body.length })
        res.end(req.method === 'HEAD' ? undefined : body)
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

  const html = { 'Content-Type': 'text/html; charset=utf-8' }
  const fast = { random: () => 0, retries: 2 }

  test.each([page.length, 100, 100 * KiB])(
    'with a web page is not believed (%i bytes)',
    async (size) => {
      const url = await serve(200, html, page)

      await expect(upload(url, pattern(size), fast).done).rejects.toMatchObject({
        code: 'ERR_RESPONSE',
        message: expect.stringContaining('web page') as string,
      })
    },
  )

  test('with a web page is not believed with an entity tag either', async () => {
    const url = await serve(200, { ...html, ETag: '"5f-1"' }, page)

    await expect(upload(url, pattern(page.length), fast).done).rejects.toBeInstanceOf(Error)
    await expect(upload(url, pattern(100 * KiB), fast).done).rejects.toBeInstanceOf(Error)
  })

  test('with a text is not believed', async () => {
    const url = await serve(200, { 'Content-Type': 'text/plain' }, 'OK')

    for (const size of [2, 100, 100 * KiB]) {
      await expect(upload(url, pattern(size), fast).done).rejects.toBeInstanceOf(Error)
    }
  })

  test('to a patch or a removal is not believed with a web page', async () => {
    const url = await serve(200, html, page)

    const ranges = [{ start: 0, data: pattern(10) }]
    await expect(patch(url, ranges)).rejects.toMatchObject({ code: 'ERR_RESPONSE' })
    await expect(remove(url)).rejects.toMatchObject({ code: 'ERR_RESPONSE' })
  })

  test('behind a redirection to a login is not believed', async () => {
    const login = await serve(200, html, page)
    const url = await serve(307, { Location: login }, '')

    await expect(upload(url, pattern(100), fast).done).rejects.toMatchObject({
      message: expect.stringContaining('web page') as string,
    })
  })
})

describe.each(CLIENTS)('a success with an entity tag over %s', (_name, client) => {
  const bench = useBench()
  const tagged = (status: number) =>
    ({ kind: 'answer', status, headers: { ETag: '"a"', 'Last-Modified': MODIFIED } }) as const

  test.each([200, 201, 204])(
    'of a server that stores nothing is not believed (%i)',
    async (status) => {
      for (const size of [10, FILE.length]) {
        for (let i = 0; i < 3; i++) bench.proxy.fail('PATCH', tagged(status))

        const { done } = client.upload(bench.url, FILE.subarray(0, size), {
          ...bench.options,
          retries: 2,
        })

        await expect(done).rejects.toMatchObject({ code: 'ERR_RESPONSE' })
        expect(await bench.state()).toBe('∅')
      }
    },
  )

  test('is believed if HEAD finds the same version and the length', async () => {
    const finished = { ETag: '"a"', 'Content-Length': FILE.length }
    bench.proxy.fail('HEAD', { kind: 'answer', status: 404 }).fail('PATCH', tagged(201))
    bench.proxy.fail('HEAD', { kind: 'answer', status: 200, headers: finished })

    const response = await client.upload(bench.url, FILE, bench.options).done

    expect(response.status).toBe(201)
    expect(bench.proxy.seen.map(({ method }) => method)).toEqual(['HEAD', 'PATCH', 'HEAD'])
  })

  test('needs no HEAD if it repeats the length of the source', async () => {
    await client.upload(bench.url, FILE, bench.options).done

    expect(bench.proxy.seen.map(({ method }) => method)).toEqual(['HEAD', 'PATCH'])
  })

  test('to a patch is not believed if the ranges hold other bytes', async () => {
    await bench.storePrefix(FILE, FILE.length)
    bench.proxy.fail('PATCH', tagged(204))

    const failed = client.patch(bench.url, [{ start: 0, data: new Uint8Array(9) }], bench.options)

    await expect(failed).rejects.toMatchObject({ code: 'ERR_UNVERIFIED' })
  })
})

describe.each(CLIENTS)('discard over %s', (_name, { upload }) => {
  const bench = useBench()

  test('removes what the upload has stored', async () => {
    bench.proxy.fail('PATCH', { kind: 'stall', after: 2 * MiB })
    const stalled = bench.proxy.stalled()
    const running = upload(bench.url, FILE, { ...bench.options, onState: () => undefined })
    await stalled

    expect(await running.discard()).toBe(true)
    expect(await bench.state()).toBe('∅')
    expect(running.status.state).toBe('failed')
  })

  test('does not remove the upload of another client after a refusal', async () => {
    await bench.storePrefix(FILE, MiB)
    const headers = { 'Retry-After': '1' }
    for (let i = 0; i < 3; i++) bench.proxy.fail('PATCH', { kind: 'answer', status: 409, headers })
    const running = upload(bench.url, FILE, { ...bench.options, retries: 2 })
    await expect(running.done).rejects.toMatchObject({ status: 409 })

    expect(await running.discard()).toBe(false)
    expect(await bench.state()).toBe(`I(${MiB}/${FILE.length})`)
  })

  test('does not remove a finished file', async () => {
    const running = upload(bench.url, FILE, bench.options)
    await running.done

    expect(await running.discard()).toBe(false)
    expect((await bench.stored()).equals(FILE)).toBe(true)
  })
})

describe.each(CLIENTS)('a HEAD from a cache over %s', (_name, { upload }) => {
  const bench = useBench()

  test('is not believed against a newer refusal', async () => {
    await bench.storePrefix(FILE, MiB)
    const cached = { kind: 'answer', status: 404 } as const
    bench.proxy.fail('HEAD', cached).fail('HEAD', cached)

    await upload(bench.url, FILE, bench.options).done

    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(bench.clock.waits).toHaveLength(1)
  })

  test('is requested past the cache', async () => {
    await upload(bench.url, FILE, bench.options).done

    expect(bench.proxy.seen[0]?.headers['cache-control']).toBe('no-cache')
  })
})
