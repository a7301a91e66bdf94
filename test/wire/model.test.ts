/** Any sequence of requests, good and bad, against the plain model of `model.ts`. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { anyAction, type Action } from '../support/wire/model-actions.ts'
import { perform } from '../support/wire/model-requests.ts'
import { stateOf, type Model } from '../support/wire/model.ts'
import { EXPRESSES, LAYERS, useServer } from '../support/wire/server.ts'
import type { TestServer } from '../support/wire/server.ts'

/** Seconds to run over each store; by default a few sequences are enough. */
const SECONDS = Number(process.env['MODEL_SECONDS'] ?? 0)
const SEQUENCES = 30

describe.each([...EXPRESSES, LAYERS])('over $name', (combination) => {
  const server = useServer(combination, { lockTimeout: 5000 })
  const actions = fc.array(anyAction(combination.store), { maxLength: 16 })
  const timeout = 60_000 + SECONDS * 1000

  it('every sequence of requests does what the model says', { timeout }, async () => {
    const end = Date.now() + SECONDS * 1000
    let count = 0
    const follows = fc.asyncProperty(actions, async (sequence) => {
      count += sequence.length
      await follow(server, sequence)
    })

    do await fc.assert(follows, { numRuns: SEQUENCES })
    while (Date.now() < end)

    if (SECONDS > 0) console.log(`${combination.name}: ${count} requests`)
  })
})

async function follow(server: TestServer, sequence: readonly Action[]): Promise<void> {
  const path = server.path()
  const versions = new Map<string, string>()
  let model: Model = null
  let before = await server.snapshot(path)
  for (const next of sequence) {
    model = await perform({ server, path, before: model, etag: before.etag }, next)

    const after = await server.snapshot(path)
    expect([after.state, after.bytes]).toEqual([stateOf(model), model?.bytes ?? ''])
    if (['bad', 'get', 'restart'].includes(next.type)) expect(after).toEqual(before)
    const version = `${after.state} ${after.bytes}`
    if (after.etag !== null) {
      expect(versions.get(after.etag) ?? version).toBe(version)
      versions.set(after.etag, version)
    }
    before = after
  }
}
