import { getEventListeners } from 'node:events'

import { afterEach, describe, expect, test, vi } from 'vitest'

import { CLIENTS, KiB, pattern, timing, useBench } from '../support/client/setup.ts'

const FILE = pattern(100 * KiB)
const [, { ClientError, upload, status, remove }] = CLIENTS[0]

describe('a failed request', () => {
  const bench = useBench()

  test.each([408, 425, 429, 500, 502, 503, 504])('is sent again after a %i', async (code) => {
    bench.proxy.fail('HEAD', { kind: 'answer', status: code })
    bench.proxy.fail('PATCH', { kind: 'answer', status: code })

    const response = await upload(bench.url, FILE, bench.options).done

    expect(response.status).toBe(201)
    expect(bench.clock.waits).toHaveLength(2)
  })

  test.each([400, 401, 403, 404, 409, 422, 423, 428, 505, 507])(
    'is not sent again after a %i',
    async (code) => {
      const body = JSON.stringify({ code: 'ERR_X', title: 'No', detail: 'not so' })
      bench.proxy.fail('PATCH', { kind: 'answer', status: code, body })

      const failed = upload(bench.url, FILE, bench.options).done

      await expect(failed).rejects.toMatchObject({
        code: 'ERR_RESPONSE',
        message: `PATCH was answered with ${code}: not so`,
        status: code,
        problem: { code: 'ERR_X' },
        transient: false,
      })
      expect(bench.clock.waits).toEqual([])
    },
  )

  test.each(['not json', '[]', '"text"', 'null', ''])(
    'has no problem document in %j',
    async (body) => {
      bench.proxy.fail('PATCH', { kind: 'answer', status: 400, body })

      const failed = upload(bench.url, FILE, bench.options).done

      await expect(failed).rejects.toMatchObject({
        message: 'PATCH was answered with 400',
        problem: null,
      })
    },
  )

  test.each([403, 409, 423, 507])('is sent again after the Retry-After of a %i', async (code) => {
    const headers = { 'Retry-After': '1' }
    bench.proxy.fail('PATCH', { kind: 'answer', status: code, headers })

    const response = await upload(bench.url, FILE, bench.options).done

    expect(response.status).toBe(201)
    expect(bench.clock.waits).toEqual([1000])
  })

  test('waits as long as Retry-After says, in seconds or until a date', async () => {
    const date = new Date(bench.clock.now() + 120_000 + 90_000).toUTCString()
    for (const value of ['120', date, 'soon', '-1']) {
      const headers = { 'Retry-After': value }
      bench.proxy.fail('HEAD', { kind: 'answer', status: 503, headers })
    }

    await upload(bench.url, FILE, {
      ...bench.options,
      ...timing({ random: () => 0 }),
    }).done

    expect(bench.clock.waits).toEqual([120_000, 90_000, 0, 0])
  })

  test('doubles the bound of its wait up to the largest', async () => {
    for (let i = 0; i < 8; i++) bench.proxy.fail('HEAD', { kind: 'answer', status: 503 })

    await upload(bench.url, FILE, bench.options).done

    expect(bench.clock.waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
  })

  test('waits a random part of the bound', async () => {
    const parts = [0, 0.25, 0.999]
    for (const _ of parts) bench.proxy.fail('HEAD', { kind: 'answer', status: 503 })
    const random = () => parts.shift() ?? 1

    await upload(bench.url, FILE, {
      ...bench.options,
      ...timing({ random }),
      minDelay: 100,
    }).done

    expect(bench.clock.waits).toEqual([0, 50, 399.6])
  })

  test('is given up after the limit of failures in a row', async () => {
    for (let i = 0; i < 4; i++) bench.proxy.fail('HEAD', { kind: 'answer', status: 503 })

    const failed = upload(bench.url, FILE, { ...bench.options, retries: 3 }).done

    await expect(failed).rejects.toMatchObject({ status: 503, transient: true })
    expect(bench.clock.waits).toHaveLength(3)
  })

  test('resets its count of failures after progress', async () => {
    for (let i = 0; i < 6; i++) bench.proxy.fail('PATCH', { kind: 'cut', after: 10 * KiB })

    const options = { ...bench.options, retries: 1 }
    const response = await upload(bench.url, FILE, options).done

    expect(response.status).toBe(201)
    expect(bench.clock.waits).toEqual([500, 500, 500, 500, 500, 500])
  })

  test('is given up when no server listens', async () => {
    const unreachable = 'http://127.0.0.1:1/'

    const failed = upload(unreachable, FILE, { ...bench.options, retries: 2 }).done

    await expect(failed).rejects.toMatchObject({
      code: 'ERR_NETWORK',
      status: null,
      cause: { code: 'ECONNREFUSED' },
    })
    expect(bench.clock.waits).toEqual([500, 1000])
  })

  test('is ended when no bytes move', async () => {
    bench.proxy.fail('PATCH', { kind: 'stall', after: 10 * KiB })
    const running = upload(bench.url, FILE, bench.options)
    const errors: unknown[] = []

    await bench.proxy.stalled()
    bench.clock.expire()
    await running.done.catch((error: unknown) => errors.push(error))

    expect(errors).toEqual([])
    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(bench.clock.watches).toBe(0)
  })

  test('reports the reason and the length of its wait', async () => {
    bench.proxy.fail('HEAD', { kind: 'answer', status: 503 })
    const seen: unknown[] = []

    await upload(bench.url, FILE, { ...bench.options, onState: (state) => seen.push(state) }).done

    expect(seen[0]).toMatchObject({ state: 'waiting', delay: 500, error: { status: 503 } })
    expect(seen.at(-1)).toEqual({ state: 'done', isUnchanged: false })
  })

  test('is sent again at once when the app calls resume()', async () => {
    bench.proxy.fail('HEAD', { kind: 'answer', status: 503 })
    const never = {
      now: () => 0,
      after: () => () => undefined,
    }
    const running = upload(bench.url, FILE, {
      ...timing({ clock: never }),
      onState: ({ state }) => {
        if (state === 'waiting') running.resume()
      },
    })

    expect((await running.done).status).toBe(201)
  })

  test('ends its wait when the signal aborts', async () => {
    bench.proxy.fail('HEAD', { kind: 'answer', status: 503 })
    const controller = new AbortController()
    const running = upload(bench.url, FILE, {
      ...timing({ clock: { now: () => 0, after: () => () => undefined } }),
      signal: controller.signal,
      onState: ({ state }) => {
        if (state === 'waiting') controller.abort(new Error('enough'))
      },
    })

    await expect(running.done).rejects.toThrow('enough')
  })
})

describe('a device that is offline', () => {
  const bench = useBench()
  const self = new EventTarget()

  afterEach(() => vi.unstubAllGlobals())

  function goOffline() {
    const navigator = { onLine: false }
    vi.stubGlobal('navigator', navigator)
    vi.stubGlobal('self', self)
    return () => {
      navigator.onLine = true
      self.dispatchEvent(new Event('online'))
    }
  }

  test('retries when it is online', async () => {
    bench.proxy.fail('HEAD', { kind: 'answer', status: 503 })
    const goOnline = goOffline()
    const delays: unknown[] = []

    await upload(bench.url, FILE, {
      ...bench.options,
      onState: (status) => {
        if (status.state !== 'waiting') return
        delays.push(status.delay)
        goOnline()
      },
    }).done

    expect(delays).toEqual([null])
    expect(bench.clock.waits).toEqual([])
    expect(getEventListeners(self, 'online')).toEqual([])
  })
})

describe('status and remove', () => {
  const bench = useBench()

  test('report the state of a resource', async () => {
    expect(await status(bench.url)).toBeNull()

    await bench.storePrefix(FILE, 10 * KiB)

    expect(await status(bench.url)).toEqual({
      size: 10 * KiB,
      complete: false,
      length: FILE.length,
      etag: expect.stringMatching(/^"/) as string,
      type: 'application/octet-stream',
    })
  })

  test.each(['seed', '2019-06', 'ietf'] as const)(
    'understand the statuses of the preset %s',
    async (preset) => {
      await bench.configure({ preset })
      await bench.storePrefix(FILE, 10 * KiB)

      expect(await status(bench.url)).toMatchObject({ size: 10 * KiB, complete: false })
      await upload(bench.url, FILE, { ...bench.options, segmentSize: 30 * KiB }).done

      expect(await status(bench.url)).toMatchObject({ size: FILE.length, complete: true })
    },
  )

  test('remove a resource once', async () => {
    await bench.storePrefix(FILE, 10 * KiB)
    bench.proxy.fail('DELETE', { kind: 'answer', status: 503 })

    await remove(bench.url, bench.options)
    await remove(bench.url, bench.options)

    expect(await bench.state()).toBe('∅')
  })

  test('fail with a typed error', async () => {
    bench.proxy.fail('HEAD', { kind: 'answer', status: 403 })

    await expect(status(bench.url)).rejects.toBeInstanceOf(ClientError)
  })
})

describe('options', () => {
  const bench = useBench()

  test.each([
    [{ retries: -1 }, 'retries is "-1", expected a number >= 0'],
    [{ minDelay: Number.NaN }, 'minDelay is "NaN", expected a number >= 0'],
    [{ segmentSize: -1 }, 'segmentSize is "-1", expected a number >= 0'],
  ])('%j is refused at once', (options, message) => {
    expect(() => upload('http://localhost/', FILE, options)).toThrow(new TypeError(message))
  })

  test('an invalid URL and an invalid source are refused at once', () => {
    expect(() => upload('nowhere', FILE)).toThrow(TypeError)
    expect(() => upload('http://localhost/', 5 as never)).toThrow(/source/)
  })

  test('headers are sent with every request, and computed for each', async () => {
    let count = 0
    const headers = async () => ({ Authorization: `Bearer ${(count += 1)}` })

    await upload(bench.url, FILE, { ...bench.options, headers }).done

    expect(bench.proxy.seen.map((request) => request.headers.authorization)).toEqual([
      'Bearer 1',
      'Bearer 2',
    ])
  })

  test('headers of the caller do not replace those of the protocol', async () => {
    const headers = { 'content-type': 'text/plain', 'if-none-match': '"a"', 'x-own': 'b' }

    await upload(bench.url, FILE, { ...bench.options, headers }).done

    expect(bench.proxy.seen.at(-1)?.headers).toMatchObject({
      'content-type': 'message/byteranges',
      'if-none-match': '*',
      'x-own': 'b',
    })
  })

  test('headers that never resolve do not delay an abort', async () => {
    const controller = new AbortController()
    const headers = async () => {
      controller.abort(new Error('enough'))
      return new Promise<Record<string, string>>(() => undefined)
    }

    const { done } = upload(bench.url, FILE, { headers, signal: controller.signal })

    await expect(done).rejects.toThrow('enough')
  })

  test('a call leaves no listener on its signal', async () => {
    const { signal } = new AbortController()
    bench.proxy.fail('HEAD', { kind: 'answer', status: 503 })

    await upload(bench.url, FILE, { ...bench.options, signal }).done
    await status(bench.url, { ...bench.options, signal })

    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('an answer of 202 to the last segment is treated as the final one if the resource is complete', async () => {
    await bench.configure({ onComplete: () => ({ status: 202, body: { job: 5 } }) })

    const response = await upload(bench.url, FILE, bench.options).done

    expect(response.status).toBe(202)
    expect(await response.json()).toEqual({ job: 5 })
  })

  test('the final answer of the app is the response', async () => {
    await bench.configure({ onComplete: () => ({ body: { id: 7 } }) })

    const response = await upload(bench.url, FILE, bench.options).done

    expect(await response.json()).toEqual({ id: 7 })
  })
})
