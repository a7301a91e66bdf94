import { describe, expect, test } from 'vitest'

import { CLIENTS, KiB, pattern, useBench } from '../support/client/setup.ts'

const FILE = pattern(100 * KiB)

describe.each(CLIENTS)('the options over %s', (_name, { patch, remove, status, upload }) => {
  const bench = useBench()
  const data = new Uint8Array(1)

  test('that are unknown are refused by their name', async () => {
    const wrong = { retrys: 3 } as object
    const refusal = new TypeError('"retrys" is not an option')

    expect(() => upload(bench.url, FILE, wrong)).toThrow(refusal)
    await expect(patch(bench.url, [{ start: 0, data }], wrong)).rejects.toThrow(refusal)
    await expect(status(bench.url, wrong)).rejects.toThrow(refusal)
    await expect(remove(bench.url, wrong)).rejects.toThrow(refusal)
  })

  test.each([
    [{ contentType: 'text/plain\r\nX-Own: a' }, /^contentType is /],
    [{ contentType: 'text' }, /^contentType is "text", expected/],
    [{ retries: '3' }, 'retries is "3", expected a number >= 0'],
    [{ overwrite: 'yes' }, 'overwrite is "yes", expected boolean'],
    [{ onProgress: {} }, /^onProgress is /],
    [{ credentials: 'always' }, /^credentials is "always"/],
    [{ constructor: 1 }, '"constructor" is not an option'],
  ])('%j is refused', (options, message) => {
    expect(() => upload(bench.url, FILE, options as object)).toThrow(message)
  })

  test('that are undefined count as not given', async () => {
    const options = { headers: undefined, retries: undefined, contentType: undefined } as object

    expect((await upload(bench.url, FILE, options).done).status).toBe(201)
  })

  test('ask for a new token after a 401, once', async () => {
    const refusal = { kind: 'answer', status: 401 } as const
    bench.proxy.fail('PATCH', refusal)
    let count = 0
    const headers = () => ({ Authorization: `Bearer ${(count += 1)}` })

    await upload(bench.url, FILE, { ...bench.options, headers }).done

    expect(bench.proxy.seen.map((request) => request.headers.authorization)).toEqual([
      'Bearer 1',
      'Bearer 2',
      'Bearer 3',
    ])
    bench.proxy.fail('HEAD', refusal).fail('HEAD', refusal)
    await expect(status(bench.url, { headers })).rejects.toMatchObject({ status: 401 })
    expect(bench.proxy.seen).toHaveLength(5)
  })

  test('reject with the error that a callback throws', async () => {
    const error = new Error('in the callback')
    const fail = () => {
      throw error
    }

    const progress = upload(bench.url, FILE, { ...bench.options, onProgress: fail })
    await expect(progress.done).rejects.toBe(error)
    expect(progress.status).toEqual({ state: 'failed', error })
    const state = upload(`${bench.url}2`, FILE, { ...bench.options, onState: fail })
    await expect(state.done).rejects.toBe(error)
    const ranges = [{ start: 0, data }]
    await bench.storePrefix(FILE, FILE.length)
    await expect(patch(bench.url, ranges, { onProgress: fail })).rejects.toBe(error)
  })

  test('have a failure reported once: by onState, or by done', async () => {
    bench.proxy.fail('HEAD', { kind: 'answer', status: 403 })

    // The test does not handle `done`. An unhandled rejection would fail the whole run.
    const seen = await new Promise((resolve) => {
      upload(bench.url, FILE, {
        onState: (status) => {
          if (status.state === 'failed') resolve(status.error)
        },
      })
    })

    expect(seen).toMatchObject({ status: 403 })
  })

  test('limit how long an address without a server is tried', async () => {
    const unreachable = 'http://127.0.0.1:1/'
    const { clock } = bench

    await expect(upload(unreachable, FILE, bench.options).done).rejects.toMatchObject({
      code: 'ERR_NETWORK',
    })
    expect(clock.waits).toEqual([500, 1000, 2000])
    const patient = { ...bench.options, retries: 5, waitForServer: true }
    await expect(status(unreachable, patient)).rejects.toMatchObject({ code: 'ERR_NETWORK' })
    expect(clock.waits.slice(3)).toEqual([500, 1000, 2000, 4000, 8000])
  })
})
