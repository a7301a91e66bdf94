import { describe, expect, test } from 'vitest'

import { CLIENTS, KiB, pattern, useBench } from '../support/client/setup.ts'

const FILE = pattern(100 * KiB)

describe.each(CLIENTS)('a hook over %s', (_name, { remove, status, upload }) => {
  const bench = useBench()

  test('adds fields to each request, and reads those of the client', async () => {
    const requests: string[] = []

    await upload(bench.url, FILE, {
      ...bench.options,
      headers: { 'X-Own': 'a' },
      onBeforeRequest: async ({ method, url, headers }) => {
        requests.push(`${method} ${url} ${headers.get('X-Own')} ${headers.get('If-None-Match')}`)
        await Promise.resolve()
        headers.set('X-Signature', `${method} signed`)
      },
    }).done

    expect(requests).toEqual([`HEAD ${bench.url} a null`, `PATCH ${bench.url} a *`])
    expect(bench.proxy.seen.map(({ headers }) => headers['x-signature'])).toEqual([
      'HEAD signed',
      'PATCH signed',
    ])
  })

  test('sets a new token after a 401, once', async () => {
    const refusal = { kind: 'answer', status: 401 } as const
    bench.proxy.fail('PATCH', refusal)
    let count = 0
    const onBeforeRequest = ({ headers }: { readonly headers: Headers }) => {
      headers.set('Authorization', `Bearer ${(count += 1)}`)
    }

    await upload(bench.url, FILE, { ...bench.options, onBeforeRequest }).done

    const tokens = bench.proxy.seen.map(({ headers }) => headers.authorization)
    expect(tokens).toEqual(['Bearer 1', 'Bearer 2', 'Bearer 3'])
    bench.proxy.fail('HEAD', refusal).fail('HEAD', refusal)
    await expect(status(bench.url, { onBeforeRequest })).rejects.toMatchObject({ status: 401 })
    expect(bench.proxy.seen).toHaveLength(5)
  })

  test('that throws ends the call with its error', async () => {
    const error = new Error('in the hook')
    const onBeforeRequest = () => {
      throw error
    }

    await expect(remove(bench.url, { onBeforeRequest })).rejects.toBe(error)
    await expect(upload(bench.url, FILE, { onBeforeRequest }).done).rejects.toBe(error)
    expect(bench.proxy.seen).toEqual([])
  })

  test('decides which failures are retried', async () => {
    bench.proxy
      .fail('PATCH', { kind: 'answer', status: 503 })
      .fail('PATCH', { kind: 'answer', status: 403 })
      .fail('PATCH', { kind: 'answer', status: 403 })
    const seen: unknown[] = []
    const shouldRetry = (error: { readonly status: number | null }, failures: number) => {
      seen.push([error.status, failures])
      return error.status === 403
    }
    const options = { ...bench.options, shouldRetry }

    await expect(upload(bench.url, FILE, options).done).rejects.toMatchObject({ status: 503 })
    expect((await upload(bench.url, FILE, options).done).status).toBe(201)

    expect(seen).toEqual([
      [503, 0],
      [403, 0],
      [403, 1],
    ])
  })

  test('can not retry more often than `retries` allows', async () => {
    for (let count = 0; count < 3; count++) {
      bench.proxy.fail('HEAD', { kind: 'answer', status: 403 })
    }
    const options = { ...bench.options, retries: 2, shouldRetry: () => true }

    await expect(status(bench.url, options)).rejects.toMatchObject({ status: 403 })

    expect(bench.proxy.seen).toHaveLength(3)
  })
})
