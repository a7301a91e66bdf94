/** The limit of the rate holds, and does not make a transfer look stalled. */
import { readFileSync, writeFileSync } from 'node:fs'

import { describe, expect, test, vi } from 'vitest'

import { download } from '../../src/cli/download.ts'
import { createPace, withPace, type PaceClock } from '../../src/cli/pace.ts'
import { openPart } from '../../src/cli/part-file.ts'
import { KiB, MiB, pattern, useBench } from '../support/client/setup.ts'
import { useCommandLine } from '../support/cli/setup.ts'

// The transfers take as long as their rate asks for.
vi.setConfig({ testTimeout: 120_000 })

const NEVER = new AbortController().signal

/** A clock whose waits end at once, and that counts their time. */
function fakeClock(): PaceClock & { time: number } {
  const clock = {
    time: 0,
    now: () => clock.time,
    wait: async (delay: number) => void (clock.time += delay),
  }
  return clock
}

describe('a pace', () => {
  test('gives as many bytes as its rate, however large the pieces are', async () => {
    for (const size of [1, 100, 1000, 5000]) {
      const clock = fakeClock()
      const pace = createPace(1000, 1, clock)

      for (let sent = 0; sent < 10_000; sent += size) await pace.take(size, NEVER)

      expect(clock.time).toBeGreaterThan(9_890)
      expect(clock.time).toBeLessThan(10_002)
    }
  })

  test('does not catch up on a pause', async () => {
    const clock = fakeClock()
    const pace = createPace(1000, 1, clock)
    clock.time += 60_000

    await pace.take(1000, NEVER)

    expect(clock.time).toBe(60_900)
  })

  test.each([
    [1024, 1],
    [1024, 100],
    [10 * MiB, 4],
  ])('of %i bytes per second for %i transfers sends eight slices a second', (rate, transfers) => {
    const { slice } = createPace(rate, transfers)

    expect((slice * transfers) / rate).toBeLessThanOrEqual(1 / 8)
    expect(slice).toBeGreaterThan(0)
    expect(slice).toBeLessThanOrEqual(64 * KiB)
  })

  test('sends the same bytes in slices', async () => {
    const pieces: Buffer[] = []
    const bytes = pattern(10_000)
    const pace = createPace(8 * 1024, 1, fakeClock())
    const transport = withPace(async ({ body }) => {
      for await (const chunk of body[0]?.stream() ?? []) pieces.push(Buffer.from(chunk))
      return new Response()
    }, pace)

    await transport({
      ...{ method: 'PUT', url: 'http://a/', headers: new Headers(), credentials: undefined },
      ...{ body: [new Blob([bytes])], signal: NEVER, onMove: () => undefined },
    })

    expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
    expect(Math.max(...pieces.map(({ length }) => length))).toBe(1024)
  })
})

describe('--limit-rate', () => {
  const line = useCommandLine()
  // Less than a piece of 64 KiB takes at the rate of the first test.
  const bench = useBench({ idleTimeout: 3000, lockTimeout: 60_000 })

  test('holds for put, without a silence that the server treats as a stall', async () => {
    const bytes = pattern(80 * KiB)
    writeFileSync(line.at('a'), bytes)
    const startedAt = performance.now()

    const { code, out } = await line.run('put', '--limit-rate', '20K', 'a', bench.url)

    expect([code, out]).toEqual([0, expect.not.stringContaining('trying again')])
    expect((await bench.stored()).equals(bytes)).toBe(true)
    expect(performance.now() - startedAt).toBeGreaterThan(3_800)
  })

  test('holds for several files together', async () => {
    for (const name of ['a', 'b', 'c']) writeFileSync(line.at(name), pattern(40 * KiB))
    const startedAt = performance.now()

    const { code } = await line.run(
      ...['put', '--limit-rate', '60K', 'a', 'b', 'c', new URL('./', bench.url).href],
    )

    expect(code).toBe(0)
    expect(performance.now() - startedAt).toBeGreaterThan(1_800)
  })

  test('holds for get', async () => {
    const bytes = pattern(2 * MiB)
    await fetch(bench.direct, { method: 'PUT', body: bytes })
    const startedAt = performance.now()

    const { code, out } = await line.run('get', '--limit-rate', '1M', bench.url, 'copy')

    expect([code, out]).toEqual([0, expect.not.stringContaining('trying again')])
    expect(readFileSync(line.at('copy')).equals(bytes)).toBe(true)
    expect(performance.now() - startedAt).toBeGreaterThan(1_800)
  })

  test('asks for a slow download in parts, which the server can write at once', async () => {
    const bytes = pattern(200 * KiB)
    await fetch(bench.direct, { method: 'PUT', body: bytes })
    const destination = await openPart(line.at('copy'), bench.url, false)
    const pace = { rate: 1024, slice: 128, take: async () => undefined }

    const digest = await download({
      ...{ url: new URL(bench.url), headers: {}, retries: 0, timeout: 30_000, wait: false },
      ...{ signal: NEVER, destination, pace, onProgress: () => undefined },
      onWait: () => undefined,
    })
    await destination.finish()
    await destination.close()

    const ranges = bench.proxy.seen.map(({ headers }) => headers.range)
    expect(ranges[0]).toBeUndefined()
    expect(ranges.length).toBeGreaterThan(2)
    for (const range of ranges.slice(1, -1)) expect(range).toMatch(/^bytes=\d+-\d+$/)
    expect(ranges.at(-1)).toMatch(/^bytes=\d+-$/)
    expect(digest).not.toBeNull()
    expect(readFileSync(line.at('copy')).equals(bytes)).toBe(true)
  })
})
