import { expect, test } from 'vitest'

import { Pace } from '../../examples/page/pace.ts'

test('gives no rate before it has measured for a second', () => {
  const pace = new Pace()

  const rates = [0, 500, 1000].map((time) => pace.measure(time * 2, time))

  expect(rates).toEqual([null, null, expect.closeTo(2000)])
})

test('follows a change of the rate gradually', () => {
  const pace = new Pace()
  let moved = 0
  const rates = new Map<number, number>()
  for (let time = 0; time <= 60_000; time += 500) {
    moved += time <= 30_000 ? 500 : 50
    rates.set(time, Math.round(pace.measure(moved, time) ?? 0))
  }

  expect([rates.get(30_000), rates.get(60_000)]).toEqual([1000, 106])
  // After one second at a tenth of the rate, most of the earlier rate is still in the average.
  expect(rates.get(31_000)).toBe(861)
})

test('ignores the time in which nothing was uploaded', () => {
  const pace = new Pace()
  for (const time of [0, 1000, 2000]) pace.measure(time, time)

  pace.reset()
  pace.measure(2000, 100_000)

  expect(pace.measure(3000, 101_000)).toBeCloseTo(1000)
})
