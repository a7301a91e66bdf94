import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { CLIENTS, KiB, pattern, useBench } from '../support/client/setup.ts'
import type { Fault } from '../support/client/proxy.ts'

const SIZE = 200 * KiB
const HEAD = pattern(4 * KiB)
/** Two files of the same length that begin with the same bytes. */
const FILES = [1, 3].map((seed) => Buffer.concat([HEAD, pattern(SIZE, seed)]).subarray(0, SIZE))

const busy = { 'Retry-After': '1' }
const after = fc.integer({ min: 1, max: SIZE })
const fault: fc.Arbitrary<Fault> = fc.oneof(
  after.map((position) => ({ kind: 'cut', after: position }) as const),
  fc.constant({ kind: 'lose' } as const),
  fc.constant({ kind: 'first', act: () => undefined } as const),
  fc
    .constantFrom([409, busy] as const, [412, {}] as const, [503, {}] as const)
    .map(([status, headers]) => ({ kind: 'answer', status, headers }) as const),
)

const client = fc.record({
  index: fc.constantFrom(0, 1),
  over: fc.constantFrom(0, 1),
  /** Whether the files have a name and a date, which are then the same for both. */
  isNamed: fc.boolean(),
  isStream: fc.boolean(),
  segmentSize: fc.constantFrom(0, 30 * KiB, 100 * KiB),
  reprDigest: fc.boolean(),
  verify: fc.boolean(),
})
type Plan = typeof client extends fc.Arbitrary<infer T> ? T : never

describe('two clients with different files at one URL', () => {
  const bench = useBench()
  let runs = 0

  /** Uploads a file. Resolves with whether the client reports it as complete. */
  async function run(url: string, direct: string, plan: Plan): Promise<boolean> {
    const file = FILES[plan.index]!
    const named = new File([file], 'a.bin', { lastModified: 1_700_000_000_000 })
    const source = plan.isStream ? new Blob([file]).stream() : plan.isNamed ? named : file
    const { segmentSize, reprDigest, verify } = plan
    const options = { segmentSize, reprDigest, verify, retries: 5 }
    const [, { upload }] = CLIENTS[plan.over]
    try {
      await upload(url, source, { ...bench.options, ...options }).done
    } catch {
      return false
    }
    // No client overwrites, so that a complete file stays as it is.
    const response = await fetch(direct)
    expect(response.status).toBe(200)
    expect(Buffer.from(await response.arrayBuffer()).equals(file)).toBe(true)
    return true
  }

  test('never complete a mixture of both', async () => {
    let completed = 0
    const property = fc.asyncProperty(
      fc.tuple(client, client),
      fc.array(fault, { maxLength: 8 }),
      fc.boolean(),
      async (plans, faults, isTogether) => {
        // Each run has a URL of its own.
        runs += 1
        for (const each of faults) bench.proxy.fail('PATCH', each)
        const calls = plans.map((plan) => () => run(bench.url + runs, bench.direct + runs, plan))
        const [one, two] = [calls[0]!, calls[1]!]
        const results = isTogether ? await Promise.all([one(), two()]) : [await one(), await two()]
        const isSame = plans[0].index === plans[1].index
        if (!isSame) expect(results).not.toEqual([true, true])
        completed += results.filter(Boolean).length
        bench.proxy.clear()
      },
    )
    await fc.assert(property, { numRuns: 25, endOnFailure: true })
    // At least one file has to be complete, because the run would show nothing otherwise.
    expect(completed).toBeGreaterThan(5)
  }, 240_000)
})
