import { once } from 'node:events'
import http from 'node:http'

import { afterEach, describe, expect, test, vi } from 'vitest'

import { CLIENTS, KiB, pattern, timing, useBench } from '../support/client/setup.ts'

const FILE = pattern(100 * KiB)

describe.each(CLIENTS)('upload over %s to a server that is at a limit', (_name, { upload }) => {
  const bench = useBench()

  afterEach(() => vi.restoreAllMocks())

  /** Uploads, and calls `makeRoom` at each wait. Resolves with the reasons of the waits. */
  async function uploadAgainst(makeRoom: (refusals: readonly unknown[]) => unknown) {
    const refusals: unknown[] = []
    await upload(bench.url, FILE, {
      ...bench.options,
      ...timing({ random: () => 0 }),
      retries: 1000,
      onState: (status) => {
        if (status.state !== 'waiting') return
        refusals.push(status.error)
        makeRoom(refusals)
      },
    }).done
    return refusals
  }

  test.each([
    [503, 'ERR_BUSY', { maxUploads: 1 }],
    [429, 'ERR_TOO_MANY_UPLOADS', { maxUploadsPerOwner: 1, owner: () => 'a' }],
  ])('waits after a %i %s as long as Retry-After says', async (status, code, options) => {
    await bench.configure(options)
    const other = http.request(`${bench.direct}2`, {
      method: 'PUT',
      headers: { 'Content-Length': 10, Expect: '100-continue' },
    })
    other.on('error', () => undefined).flushHeaders()
    await once(other, 'continue')

    const refusals = await uploadAgainst(() => other.destroy())

    expect(refusals[0]).toMatchObject({ status, problem: { code }, transient: true })
    expect(bench.clock.waits[0]).toBeGreaterThanOrEqual(1000)
    expect((await bench.stored()).equals(FILE)).toBe(true)
  })

  test('waits after a 429 for the incomplete uploads of its owner', async () => {
    await bench.configure({ maxIncompletePerOwner: 1, owner: () => 'a' })
    const other = `${bench.direct}2`
    const range = `Content-Range: bytes 0-3/10\r\n\r\nabcd`
    await fetch(other, {
      method: 'PATCH',
      headers: { 'Content-Type': 'message/byteranges' },
      body: range,
    })

    const refusals = await uploadAgainst(() => void fetch(other, { method: 'DELETE' }))

    const problem = { code: 'ERR_TOO_MANY_UPLOADS' }
    expect(refusals[0]).toMatchObject({ status: 429, problem, transient: true })
    expect(bench.clock.waits[0]).toBeGreaterThanOrEqual(1000)
    expect((await bench.stored()).equals(FILE)).toBe(true)
  })

  test('releases its lock when it is aborted while it stalls', async () => {
    await bench.configure({ maxUploads: 1 })
    bench.proxy.fail('PATCH', { kind: 'stall', after: 10 * KiB })
    const controller = new AbortController()
    const options = { ...bench.options, signal: controller.signal }
    const stalled = upload(bench.url, FILE, options).done

    await bench.proxy.stalled()
    controller.abort()

    await expect(stalled).rejects.toBe(controller.signal.reason)
    const retries = Infinity
    const other = await upload(`${bench.direct}2`, FILE, { minDelay: 20, maxDelay: 20, retries })
      .done
    expect(other.status).toBe(201)
  })

  test('resumes at the next server after a 503 of one that closes', async () => {
    bench.proxy.fail('PATCH', { kind: 'stall', after: 10 * KiB })
    const closed = bench.proxy.stalled().then(async () => {
      await expect.poll(() => bench.state()).toMatch(/^I/)
      await bench.close()
    })
    const started: Promise<void>[] = []

    // The first refusal ends the running request, the second keeps the upload from resuming here.
    const refusals = await uploadAgainst(({ length }) => {
      if (length === 2) started.push(bench.restart())
    })

    await Promise.all([closed, ...started])
    const closing = { status: 503, problem: { code: 'ERR_CLOSING' }, transient: true }
    expect(refusals.slice(0, 2)).toMatchObject([closing, closing])
    expect(Math.min(...bench.clock.waits.slice(0, 2))).toBeGreaterThanOrEqual(5000)
    expectNothingTwice(10 * KiB)
    expect((await bench.stored()).equals(FILE)).toBe(true)
  })

  test('resumes after a 408 for silence', async () => {
    await bench.configure({ idleTimeout: 200 })
    bench.proxy.fail('PATCH', { kind: 'stall', after: 10 * KiB })

    const refusals = await uploadAgainst(() => undefined)

    const idle = { status: 408, problem: { code: 'ERR_IDLE' }, transient: true }
    expect(refusals[0]).toMatchObject(idle)
    expectNothingTwice(10 * KiB)
    expect((await bench.stored()).equals(FILE)).toBe(true)
  })

  test('resumes after a 408 for slowness', async () => {
    await bench.configure({ minRate: 1000 })
    bench.proxy.fail('PATCH', { kind: 'stall', after: 10 * KiB })
    const now = performance.now.bind(performance)
    // Each wait for bytes is longer than the minute over which the server averages the rate.
    vi.spyOn(performance, 'now').mockImplementation(() => now() * 1e9)

    const refusals = await uploadAgainst(() => vi.restoreAllMocks())

    const slow = { status: 408, problem: { code: 'ERR_TOO_SLOW' }, transient: true }
    expect(refusals[0]).toMatchObject(slow)
    expect((await bench.stored()).equals(FILE)).toBe(true)
  })

  /**
   * Checks that the last segment begins where the first one has stopped. `passed` also counts the
   * header of the part.
   */
  function expectNothingTwice(passed: number): void {
    const start = bench.proxy.seen.at(-1)?.start ?? 0
    expect(start).toBeGreaterThan(passed - 200)
    expect(start).toBeLessThan(passed)
  }
})
