/** The protocol as a whole over plain values: random requests, and storages that fail. */
import assert from 'node:assert/strict'

import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import type { HandlerRequest } from '../../src/protocol/http.ts'
import { ConnectionLostError } from '../../src/protocol/http.ts'
import { bodyOf, handlerFor, patch, request } from '../support/plain.ts'
import { WatchedStorage, type Step } from '../support/watched-storage.ts'

describe('random requests', () => {
  it('change a resource as the reference changes plain bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(change(), { minLength: 1, maxLength: 12 }), async (changes) => {
        const storage = new WatchedStorage()
        const handle = handlerFor(storage)
        let model: Model = null
        let etag = ''

        for (const one of changes) {
          const before = model
          const expected = apply(model, one)
          model = expected.next
          const answer = await handle(requestFor(one)).catch(() => ({ status: 0 }))
          const state = await observe(handle)

          // Compare without vitest's `expect`, which takes longer than the request.
          assert.deepEqual(
            [answer.status, state.model, storage.openWriters, storage.openReaders],
            [expected.status, shown(model), 0, 0],
          )
          if (!isSame(before, model)) assert.notEqual(state.etag, etag)
          if (expected.status >= 400) assert.equal(state.etag, etag)
          etag = state.etag
        }
      }),
      { numRuns: 300 },
    )
  }, 30_000)
})

describe('a storage that fails', () => {
  const failure = new Error('the disk is broken')

  it.each<readonly [step: Step, name: string, change: () => HandlerRequest]>([
    ['head', 'HEAD', () => request({ method: 'HEAD' })],
    ['openReader', 'GET', () => request({ method: 'GET' })],
    ['close', 'GET that is answered 304', () => conditional('GET')],
    [
      'head',
      'conditional PATCH',
      () => patch('bytes 4-5/10', 'ef', { headers: { 'If-Match': '*' } }),
    ],
    ['openWriter', 'PATCH', () => patch('bytes 4-5/10', 'ef')],
    ['read', 'PATCH that repeats', () => patch('bytes 2-5/10', 'cdef')],
    ['write', 'PATCH', () => patch('bytes 4-5/10', 'ef')],
    ['commit', 'PATCH', () => patch('bytes 4-5/10', 'ef')],
    ['commit', 'PATCH that finishes', () => patch('bytes 4-9/10', 'efghij')],
    ['rollback', 'PATCH that changes nothing', () => patch('bytes 0-3/10', 'abcd')],
    ['keep', 'PATCH that is cut', () => cut('bytes 4-9/10', 'ef')],
    ['rollback', 'PATCH of the wrong length', () => long('bytes 4-5/10', 'efg')],
    ['openWriter', 'PUT', () => put('new')],
    ['write', 'PUT', () => put('new')],
    ['commit', 'PUT', () => put('new')],
    ['head', 'DELETE', () => request({ method: 'DELETE' })],
    ['remove', 'DELETE', () => request({ method: 'DELETE' })],
  ])('in %s during a %s throws its error, and leaves no lock', async (step, _name, change) => {
    const storage = new WatchedStorage()
    const handle = handlerFor(storage, { lockTimeout: 0 })
    await handle(patch('bytes 0-3/10', 'abcd'))
    storage.fail(step, failure)

    await expect(handle(change())).rejects.toBe(failure)

    expect([storage.openWriters, storage.openReaders]).toEqual([0, 0])
    const next = await handle(patch('bytes 0-0/10', 'X'))
    expect(next.status).toBeLessThan(300)
  })

  it.each([
    ['truncate', () => patch('bytes */4')],
    ['write', () => patch('bytes 0-3/10', 'ABCD')],
    ['commit', () => patch('bytes 0-3/10', 'ABCD')],
    ['commit', () => put('new')],
  ] as const)('in %s leaves a finished resource unchanged', async (step, change) => {
    const storage = new WatchedStorage()
    const handle = handlerFor(storage, { lockTimeout: 0 })
    await handle(put('abcdefghij'))
    const before = await storage.head('a')
    storage.fail(step, failure)

    await expect(handle(change())).rejects.toBe(failure)

    expect(await storage.head('a')).toEqual(before)
    expect((await handle(patch('bytes 0-0/10', 'X'))).status).toBe(204)
  })

  it('in the first read of a GET throws its error', async () => {
    const storage = new WatchedStorage()
    const handle = handlerFor(storage)
    await handle(put('abcdefghij'))
    storage.fail('send', failure)

    await expect(handle(request({ method: 'GET' }))).rejects.toBe(failure)

    expect(storage.openReaders).toBe(0)
  })
})

type Model = {
  readonly bytes: string
  readonly length: number | null
  readonly done: boolean
  readonly ever: boolean
} | null

interface Range {
  readonly start: number
  readonly data: string
  readonly length: number | null
}

type Change =
  | { readonly kind: 'patch' | 'atomic' | 'multipart'; readonly ranges: readonly Range[] }
  | { readonly kind: 'cut'; readonly ranges: readonly Range[]; readonly arrived: number }
  | { readonly kind: 'size'; readonly length: number }
  | { readonly kind: 'put'; readonly data: string }
  | { readonly kind: 'delete' }

/** Few letters, so that equal bytes occur. */
function text(): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 6 })
}

function range(): fc.Arbitrary<Range> {
  return fc
    .tuple(fc.nat(6), text(), fc.option(fc.nat(4), { freq: 2 }))
    .map(([start, data, more]) => ({
      start,
      data,
      length: more === null ? null : start + data.length + more,
    }))
}

function change(): fc.Arbitrary<Change> {
  const one = fc.tuple(range())
  return fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('patch' as const), ranges: one }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('atomic' as const), ranges: one }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('multipart' as const),
        ranges: fc.array(range(), { minLength: 1, maxLength: 3 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('cut' as const), ranges: one, arrived: fc.nat(5) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('size' as const), length: fc.nat(8) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('put' as const), data: text() }) },
    // Often, because most of what is left to learn is in uploads, and most sequences finish soon.
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('delete' as const) }) },
  )
}

function requestFor(one: Change): HandlerRequest {
  switch (one.kind) {
    case 'patch':
      return patch(contentRange(one.ranges[0]), one.ranges[0]?.data)
    case 'atomic':
      return patch(contentRange(one.ranges[0]), one.ranges[0]?.data, {
        headers: { Prefer: 'transaction=atomic' },
      })
    case 'cut':
      return cut(contentRange(one.ranges[0]), one.ranges[0]?.data.slice(0, one.arrived) ?? '')
    case 'multipart':
      return multipart(one.ranges)
    case 'size':
      return patch(`bytes */${one.length}`)
    case 'put':
      return put(one.data)
    case 'delete':
      return request({ method: 'DELETE' })
  }
}

/** The status, 0 for a request that got no answer, and the resource after it. */
function apply(model: Model, one: Change): { readonly status: number; readonly next: Model } {
  if (one.kind === 'delete') return { status: model === null ? 404 : 204, next: null }
  if (one.kind === 'put') {
    const { data } = one
    const next = { bytes: data, length: data.length, done: true, ever: true }
    return { status: model?.ever === true ? 204 : 201, next }
  }
  if (one.kind === 'size') return checkWhole(model, resize(model, one.length))
  if (one.kind === 'cut') return afterCut(model, one.ranges[0], one.arrived)

  let draft: Draft | number = draftOf(model)
  const known = one.ranges.map(({ length }) => length).filter((length) => length !== null)
  if (new Set(known).size > 1) return { status: 400, next: model }
  for (const part of one.ranges) if (typeof draft !== 'number') draft = write(draft, part)
  return checkWhole(model, draft)
}

/** Bytes by position, with holes. */
interface Draft {
  readonly bytes: readonly (string | undefined)[]
  /** What the length must be; null as long as it follows from the bytes, or is unknown. */
  readonly declared: number | null
  readonly wasDone: boolean
}

function draftOf(model: Model): Draft {
  if (model === null) return { bytes: [], declared: null, wasDone: false }
  const { bytes, length, done } = model
  return { bytes: [...bytes], declared: done ? null : length, wasDone: done }
}

function write(draft: Draft, part: Range): Draft | number {
  const { bytes, declared } = draft
  const next = [...bytes]
  if (part.length !== null && declared !== null && part.length !== declared) return 409
  if (part.length !== null && part.length < bytes.length) return 409
  const length = part.length ?? declared
  if (length !== null && part.start + part.data.length > length) return 409
  for (const [index, byte] of [...part.data].entries()) next[part.start + index] = byte
  return { ...draft, bytes: next, declared: length }
}

function resize(model: Model, length: number): Draft | number {
  const draft = draftOf(model)
  if (!draft.wasDone && length < draft.bytes.length) return 409
  if (draft.declared !== null && draft.declared !== length) return 409
  return { ...draft, bytes: draft.bytes.slice(0, length), declared: length }
}

function checkWhole(model: Model, draft: Draft | number): ReturnType<typeof apply> {
  if (typeof draft === 'number') return { status: draft, next: model }
  const { bytes, declared, wasDone } = draft
  const size = leading(bytes)
  if (bytes.length > size) {
    return { status: model === null && size === 0 ? 404 : 409, next: model }
  }
  const ever = model?.ever ?? false
  const length = declared ?? (wasDone ? size : null)
  const done = length === size
  const next = { bytes: bytes.join(''), length, done, ever: ever || done }
  if (!done) return { status: 202, next }
  return { status: ever ? 204 : 201, next }
}

/**
 * The bytes that arrived stay unless they change a finished resource. The client gets no answer.
 */
function afterCut(
  model: Model,
  part: Range | undefined,
  arrived: number,
): ReturnType<typeof apply> {
  if (part === undefined) throw new Error('a cut has a range')
  const planned = checkWhole(model, write(draftOf(model), part))
  if (planned.status >= 400) return planned
  if (model?.done === true) return { status: 0, next: model }
  if (arrived >= part.data.length) return planned
  if (arrived === 0) return { status: 0, next: model }
  const kept = [...(model?.bytes ?? '')]
  for (const [index, byte] of [...part.data.slice(0, arrived)].entries()) {
    kept[part.start + index] = byte
  }
  const length = model === null ? part.length : model.length
  return {
    status: 0,
    next: { bytes: kept.join(''), length, done: false, ever: model?.ever ?? false },
  }
}

function leading(bytes: readonly (string | undefined)[]): number {
  const hole = bytes.findIndex((byte) => byte === undefined)
  return hole === -1 ? bytes.length : hole
}

function shown(model: Model) {
  return model === null
    ? { get: 404, bytes: '', length: null }
    : { get: model.done ? 200 : 299, bytes: model.bytes, length: model.done ? null : model.length }
}

function isSame(a: Model, b: Model): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

async function observe(handle: ReturnType<typeof handlerFor>) {
  const answer = await handle(request({ method: 'GET' }))
  const length = /\/(\d+)$/.exec(answer.headers['Content-Range'] ?? '')?.[1]
  return {
    etag: answer.headers['ETag'] ?? '',
    model: {
      get: answer.status,
      bytes: await bodyOf(answer),
      length: length === undefined ? null : Number(length),
    },
  }
}

function contentRange(part: Range | undefined): string {
  if (part === undefined) throw new Error('a patch has a range')
  const { start, data, length } = part
  return `bytes ${start}-${start + data.length - 1}/${length ?? '*'}`
}

function multipart(ranges: readonly Range[]): HandlerRequest {
  const parts = ranges.map(
    (part) => `--SEP\r\nContent-Range: ${contentRange(part)}\r\n\r\n${part.data}\r\n`,
  )
  const body = `${parts.join('')}--SEP--`
  const headers = {
    'Content-Type': 'multipart/byteranges; boundary=SEP',
    'Content-Length': String(body.length),
  }
  return request({ method: 'PATCH', headers, body: [body] })
}

function put(data: string): HandlerRequest {
  return request({
    method: 'PUT',
    headers: { 'Content-Length': String(data.length) },
    body: [data],
  })
}

function conditional(method: string): HandlerRequest {
  return request({ method, headers: { 'If-None-Match': '*' } })
}

/** A PATCH whose client disconnects after `data`. */
function cut(range: string, data: string): HandlerRequest {
  async function* body() {
    yield [Buffer.from(`Content-Range: ${range}\r\n\r\n${data}`)]
    throw new ConnectionLostError('gone')
  }
  const headers = { 'Content-Type': 'message/byteranges', 'Transfer-Encoding': 'chunked' }
  return request({ method: 'PATCH', headers, body: body() })
}

/** A chunked PATCH with more data than its range. */
function long(range: string, data: string): HandlerRequest {
  const headers = { 'Content-Type': 'message/byteranges', 'Transfer-Encoding': 'chunked' }
  const [most, rest] = [data.slice(0, -1), data.slice(-1)]
  return request({
    method: 'PATCH',
    headers,
    body: [`Content-Range: ${range}\r\n\r\n${most}`, rest],
  })
}
