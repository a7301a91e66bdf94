/** Any sequence of requests, good and bad, against the plain model of `model.ts`. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import {
  CHUNKED,
  MESSAGE,
  MULTIPART,
  chunk,
  chunked,
  message,
  multipart,
  request,
} from './client.ts'
import { contentRange, cut, declare, patch, put, remove, stateOf } from './model.ts'
import type { Model, ModelPart, Outcome } from './model.ts'
import { BOTH, useServer } from './server.ts'
import type { TestServer } from './server.ts'

/** A request as numbers; what it means depends on the state that it meets. */
type Action =
  | { readonly type: 'patch'; readonly shape: Shape; readonly isChunked: boolean }
  | { readonly type: 'multipart'; readonly shape: Shape; readonly more: readonly number[] }
  | { readonly type: 'cut'; readonly shape: Shape; readonly received: number }
  | { readonly type: 'declare'; readonly total: number }
  | { readonly type: 'put'; readonly data: string }
  | { readonly type: 'delete' }
  | { readonly type: 'bad'; readonly shape: Shape; readonly fault: (typeof FAULTS)[number] }

interface Shape {
  /** Positions before (negative) or beyond the end of what is stored. */
  readonly distance: number
  readonly data: string
  readonly total: 'declared' | 'unknown' | 'end' | 'beyond'
}

const FAULTS = ['short', 'long', 'unit', 'type', 'header', 'stale', 'existing', 'put'] as const

const shape: fc.Arbitrary<Shape> = fc.record({
  distance: fc.constantFrom(0, 0, 0, -1, -2, -5, 1),
  data: fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 5 }),
  total: fc.constantFrom('declared', 'declared', 'unknown', 'end', 'beyond'),
})

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ type: fc.constant('patch'), shape, isChunked: fc.boolean() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('multipart'),
      shape,
      more: fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('cut'),
      shape,
      received: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('declare'), total: fc.integer({ min: 0, max: 15 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('put'),
      data: fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('delete') }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('bad'), shape, fault: fc.constantFrom(...FAULTS) }),
  },
)

describe.each(BOTH)('over $name', (combination) => {
  const server = useServer(combination, { lockWait: 5000 })

  it('every sequence of requests does what the model says', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 14 }), async (actions) => {
        const path = server.path()
        const tags = new Map<string, string>()
        let model: Model = null
        for (const next of actions) {
          const before = await server.snapshot(path)
          model = await perform(server, path, next, model)

          const after = await server.snapshot(path)
          expect([after.state, after.bytes]).toEqual([stateOf(model), model?.bytes ?? ''])
          if (next.type === 'bad') expect(after).toEqual(before)
          const version = `${after.state} ${after.bytes}`
          if (after.etag !== null) {
            expect(tags.get(after.etag) ?? version).toBe(version)
            tags.set(after.etag, version)
          }
        }
      }),
      { numRuns: 60 },
    )
  })
})

/** Sends the request, and returns what the resource should be afterwards. */
async function perform(
  server: TestServer,
  path: string,
  next: Action,
  model: Model,
): Promise<Model> {
  switch (next.type) {
    case 'patch': {
      const part = toPart(next.shape, model)
      const document = message(contentRange(part), part.data)
      const answer = next.isChunked
        ? await server.send('PATCH', path, [MESSAGE, CHUNKED], chunked(...document.toString()))
        : await server.send('PATCH', path, [MESSAGE], document)
      return expectOutcome(answer.status, patch(model, [part]))
    }
    case 'multipart': {
      const parts = toParts(next.shape, next.more, model)
      const body = multipart(...parts.map((part) => [contentRange(part), part.data] as const))
      const answer = await server.send('PATCH', path, [MULTIPART], body)
      return expectOutcome(answer.status, patch(model, parts))
    }
    case 'cut':
      return sendHalf(server, path, toAppend(next.shape, model), next.received, model)
    case 'declare': {
      const answer = await server.patch(path, `bytes */${next.total}`)
      return expectOutcome(answer.status, declare(model, next.total))
    }
    case 'put': {
      const answer = await server.send('PUT', path, [CHUNKED], chunked(next.data))
      return expectOutcome(answer.status, put(model, next.data))
    }
    case 'delete':
      return expectOutcome((await server.send('DELETE', path)).status, remove(model))
    case 'bad':
      await sendFault(server, path, toPart(next.shape, model), next.fault, model)
      return model
  }
}

function expectOutcome(status: number, outcome: Outcome): Model {
  expect(status).toBe(outcome.status)
  return outcome.model
}

/** A part of which a client sends the beginning and then is gone. */
async function sendHalf(
  server: TestServer,
  path: string,
  part: ModelPart,
  received: number,
  model: Model,
): Promise<Model> {
  const arrived = part.data.slice(0, Math.min(received, part.data.length - 1))
  const after = cut(model, part, arrived)
  const connection = await server.connect()
  connection.send(request('PATCH', path, [MESSAGE, CHUNKED]))
  connection.send(chunk(message(contentRange(part), arrived)))
  await server.becomes(path, stateOf(after))
  connection.close()
  await server.settled(path)
  return after
}

async function sendFault(
  server: TestServer,
  path: string,
  part: ModelPart,
  fault: (typeof FAULTS)[number],
  model: Model,
): Promise<void> {
  const range = contentRange(part)
  const good = message(range, part.data)
  const send = async (fields: readonly string[], body: Uint8Array | string) =>
    (await server.send('PATCH', path, fields, body)).status
  switch (fault) {
    case 'short':
      return expect(await send([MESSAGE], good.subarray(0, -1))).toBe(400)
    case 'long':
      return expect(await send([MESSAGE], `${good.toString()}x`)).toBe(400)
    case 'unit':
      return expect(await send([MESSAGE], message(range.replace('bytes', 'words'), 'x'))).toBe(422)
    case 'type':
      return expect(await send(['Content-Type: text/plain'], good)).toBe(415)
    case 'header':
      return expect(await send([MESSAGE], good.subarray(2))).toBe(400)
    case 'stale':
      return expect(await send([MESSAGE, 'If-Match: "stale"'], good)).toBe(412)
    case 'existing':
      if (model === null) return
      return expect(await send([MESSAGE, 'If-None-Match: *'], good)).toBe(412)
    case 'put': {
      const fields = ['Content-Range: bytes 0-0/1']
      return expect((await server.send('PUT', path, fields, 'x')).status).toBe(400)
    }
  }
}

function toPart({ distance, data, total }: Shape, model: Model): ModelPart {
  const size = model?.bytes.length ?? 0
  const first = Math.max(0, size + distance)
  const end = first + data.length
  const declared = model?.length ?? 12
  const totals = { declared: Math.max(declared, end), unknown: null, end, beyond: end + 3 }
  return { first, data, total: totals[total] }
}

/** Parts that follow each other or leave gaps, all of the same total. */
function toParts(first: Shape, more: readonly number[], model: Model): ModelPart[] {
  const parts = [toPart(first, model)]
  for (const gap of more) {
    const last = parts.at(-1)!
    parts.push({ ...last, first: last.first + last.data.length + (gap === 2 ? 1 : 0) })
  }
  const end = parts.at(-1)!.first + first.data.length
  const total = parts[0]!.total === null ? null : Math.max(parts[0]!.total, end)
  return parts.map((part) => ({ ...part, total }))
}

/** A part that begins where the resource ends and does not tell a length that is news. */
function toAppend(given: Shape, model: Model): ModelPart {
  const part = toPart({ ...given, distance: 0 }, model)
  return model === null || model.isComplete ? part : { ...part, total: model.length }
}
