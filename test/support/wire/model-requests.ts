/** Sends the request of an action in the current state, and returns the expected resource. */
import { expect } from 'vitest'

import {
  CHUNKED,
  MESSAGE,
  MULTIPART,
  chunk,
  chunked,
  message,
  multipart,
  request,
  type Bytes,
} from './client.ts'
import type { Action, Cut, Fault, Shape } from './model-actions.ts'
import * as model from './model.ts'
import type { Condition, Model, ModelPart } from './model.ts'
import type { TestServer } from './server.ts'

const PERSIST = 'Prefer: transaction=persist'
const ATOMIC = 'Prefer: transaction=atomic'

/** A resource, and the model of it. */
export interface Subject {
  readonly server: TestServer
  readonly path: string
  readonly before: Model
  readonly etag: string | null
}

/** Sends the request, checks its answer, and returns what the resource should be afterwards. */
export async function perform(subject: Subject, next: Action): Promise<Model> {
  const { server, before } = subject
  switch (next.type) {
    case 'restart':
      await server.restart()
      return before
    case 'get':
      await expectRead(subject, next.condition, next.range)
      return before
    case 'bad':
      await sendFault(subject, toPart(next.shape, before), next.fault)
      return before
    case 'cut':
      return sendHalf(subject, toAppend(next.shape, before), next.received, next.of)
    case 'patch':
    case 'multipart':
    case 'declare':
    case 'put':
    case 'delete':
      return change(subject, next)
  }
}

type Change = Extract<Action, { readonly isAtomic: boolean }>

async function change({ server, path, before, etag }: Subject, next: Change): Promise<Model> {
  const { method, fields, body, outcome } = toRequest(next, before)
  const { condition, isAtomic } = next
  const lines = [...fields, ...(isAtomic ? [ATOMIC] : []), ...conditionLine(condition, etag)]
  const { status } = await server.send(method, path, lines, body)
  // A request that gets 404 without a condition also gets 404 with one (RFC 9110 §13.2.1).
  const isAbsent = next.type === 'delete' && before === null
  const isRefused = condition !== null && !isAbsent && !model.holds(before, condition)
  const expected = isRefused ? { status: 412, model: before } : outcome
  expect(status).toBe(expected.status)
  return expected.model
}

function toRequest(next: Change, before: Model) {
  switch (next.type) {
    case 'patch': {
      const part = toPart(next.shape, before)
      const document = message(model.contentRange(part), part.data)
      const content = next.isChunked
        ? { fields: [MESSAGE, CHUNKED], body: chunked(...document.toString()) }
        : { fields: [MESSAGE], body: document }
      return { method: 'PATCH', ...content, outcome: model.patch(before, [part]) }
    }
    case 'multipart': {
      const parts = toParts(next.shape, next.more, before)
      const body = multipartOf(parts)
      return { method: 'PATCH', fields: [MULTIPART], body, outcome: model.patch(before, parts) }
    }
    case 'declare': {
      const body = message(`bytes */${next.total}`)
      const outcome = model.declare(before, next.total)
      return { method: 'PATCH', fields: [MESSAGE], body, outcome }
    }
    case 'put': {
      const body = chunked(next.data)
      return { method: 'PUT', fields: [CHUNKED], body, outcome: model.put(before, next.data) }
    }
    case 'delete':
      return { method: 'DELETE', fields: [], body: '', outcome: model.remove(before) }
  }
}

async function expectRead(
  { server, path, before, etag }: Subject,
  condition: Condition | null,
  range: readonly [start: number, end: number] | null,
): Promise<void> {
  const lines = conditionLine(condition, etag)
  const asked = range === null ? [] : [`Range: bytes=${range[0]}-${range[1] - 1}`]
  const answer = await server.send('GET', path, [...lines, ...asked])
  const head = await server.send('HEAD', path, [...lines, ...asked])

  const { status, content } = model.get(before, condition, range)
  expect(answer.status).toBe(status)
  if (content !== null) expect(answer.body.toString('latin1')).toBe(content)
  // HEAD ignores `Range` (RFC 9110 §14.2).
  expect(head.status).toBe(model.get(before, condition, null).status)
}

function conditionLine(condition: Condition | null, etag: string | null): readonly string[] {
  if (condition === null) return []
  const tags = { current: etag ?? '"none"', other: '"other"', any: '*' }
  return [`${condition.field}: ${tags[condition.tag]}`]
}

/** A request whose client disconnects after a part of it. */
async function sendHalf(
  { server, path, before }: Subject,
  part: ModelPart,
  received: number,
  of: Cut,
): Promise<Model> {
  const arrived = part.data.slice(0, Math.min(received, part.data.length - 1))
  const { head, content, after } = toHalf(path, part, arrived, of, before)
  const connection = await server.connect()
  connection.send(head, chunk(content))
  await server.becomes(path, model.stateOf(after))
  connection.close()
  await server.idle(path)
  return after
}

function toHalf(path: string, part: ModelPart, arrived: string, of: Cut, before: Model) {
  const half: Bytes = message(model.contentRange(part), arrived)
  switch (of) {
    case 'patch': {
      const head = request('PATCH', path, [MESSAGE, CHUNKED])
      return { head, content: half, after: model.cut(before, part, arrived) }
    }
    case 'atomic patch': {
      const head = request('PATCH', path, [MESSAGE, CHUNKED, ATOMIC])
      return { head, content: half, after: before }
    }
    case 'multipart': {
      const content = multipartOf([part]).subarray(0, -'\r\n--SEP--\r\n'.length)
      return { head: request('PATCH', path, [MULTIPART, CHUNKED]), content, after: before }
    }
    case 'put': {
      const head = request('PUT', path, [CHUNKED, PERSIST])
      return { head, content: part.data, after: model.cutPut(before, part.data) }
    }
  }
}

async function sendFault(
  { server, path, before }: Subject,
  part: ModelPart,
  fault: Fault,
): Promise<void> {
  const range = model.contentRange(part)
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
      if (before === null) return
      return expect(await send([MESSAGE, 'If-None-Match: *'], good)).toBe(412)
    case 'put': {
      const fields = ['Content-Range: bytes 0-1/1']
      return expect((await server.send('PUT', path, fields, 'xx')).status).toBe(400)
    }
  }
}

function toPart({ distance, data, total }: Shape, before: Model): ModelPart {
  const size = before?.bytes.length ?? 0
  const first = Math.max(0, size + distance)
  const end = first + data.length
  const declared = before?.length ?? 12
  const totals = { declared: Math.max(declared, end), unknown: null, end, beyond: end + 3 }
  return { first, data, total: totals[total] }
}

/** Parts that follow each other or leave gaps, all of the same total. */
function toParts(first: Shape, more: readonly number[], before: Model): readonly ModelPart[] {
  const parts = [toPart(first, before)]
  for (const gap of more) {
    const last = parts.at(-1)!
    parts.push({ ...last, first: last.first + last.data.length + (gap === 2 ? 1 : 0) })
  }
  const end = parts.at(-1)!.first + first.data.length
  const total = parts[0]!.total === null ? null : Math.max(parts[0]!.total, end)
  return parts.map((part) => ({ ...part, total }))
}

/** A part that begins at the end of the resource and does not declare a new length. */
function toAppend(given: Shape, before: Model): ModelPart {
  const part = toPart({ ...given, distance: 0 }, before)
  return before === null || before.isComplete ? part : { ...part, total: before.length }
}

function multipartOf(parts: readonly ModelPart[]): Buffer {
  return multipart(...parts.map((part) => [model.contentRange(part), part.data] as const))
}
