import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { Retries } from '../../src/protocol/retries.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** Work that fails `failures` times. `times` are the seconds of its attempts. */
function work(failures: number) {
  const begin = performance.now()
  const times: [key: string, seconds: number][] = []
  const retries = new Retries(async (key) => {
    times.push([key, (performance.now() - begin) / 1000])
    if (times.length === 1 && failures > 0) throw new Error('the first failure is an error')
    return times.length > failures
  })
  return { times, retries }
}

async function* keys(...all: readonly string[]) {
  yield* all
}

test('tries a key that has failed after one second, and doubles the time after each failure', async () => {
  const { times, retries } = work(4)

  retries.add('a')
  retries.add('a')
  await vi.advanceTimersByTimeAsync(3_600_000)

  const seconds = [1, 3, 7, 15, 31]
  expect(times).toEqual(seconds.map((second) => ['a', second]))
})

test('waits ten minutes at most', async () => {
  const { times, retries } = work(20)

  retries.add('a')
  await vi.advanceTimersByTimeAsync(24 * 3_600_000)

  const [, last = 0] = times.at(-1) ?? []
  const [, before = 0] = times.at(-2) ?? []
  expect([times.length, last - before]).toEqual([21, 600])
})

test('tries listed keys at once, one at a time', async () => {
  const { times, retries } = work(0)

  await retries.addAll(keys('a', 'b'))
  await vi.advanceTimersByTimeAsync(0)

  expect(times).toEqual([
    ['a', 0],
    ['b', 0],
  ])
})

test('a key that fails does not delay the others', async () => {
  const { times, retries } = work(1)

  await retries.addAll(keys('a', 'b'))
  await vi.advanceTimersByTimeAsync(10_000)

  expect(times).toEqual([
    ['a', 0],
    ['b', 0],
    ['a', 1],
  ])
})

test('tries nothing after it was stopped', async () => {
  const { times, retries } = work(0)

  retries.add('a')
  await retries.stop()
  retries.add('b')
  await vi.advanceTimersByTimeAsync(10_000)

  expect(times).toEqual([])
})

test('waits for the attempt in progress when it is stopped', async () => {
  const order: string[] = []
  let resolve = (): void => undefined
  const promise = new Promise<void>((resolved) => (resolve = resolved))
  const retries = new Retries(async (key) => {
    order.push(`begin ${key}`)
    await promise
    order.push(`end ${key}`)
    return true
  })

  await retries.addAll(keys('a', 'b'))
  await vi.advanceTimersByTimeAsync(0)
  const stopped = retries.stop().then(() => order.push('stopped'))
  resolve()
  await stopped

  expect(order).toEqual(['begin a', 'end a', 'stopped'])
})
