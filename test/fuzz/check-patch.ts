/** What must hold when a PATCH with any bytes for content meets a resource in any state. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'

import { chunk, field, request, type Answer } from '../support/wire/client.ts'
import {
  cut as cutModel,
  declare,
  patch,
  stateOf,
  type Model,
  type Outcome,
} from '../support/wire/model.ts'
import { cut as cutBytes } from './check-parser.ts'
import {
  referenceMessage,
  placed,
  referenceBinary,
  referenceKnownMessage,
  referenceMultipart,
  type ReferenceData,
  type ReferenceDocument,
} from './reference.ts'
import { referenceDigest } from './reference-header.ts'
import { MAX_SIZE, type FuzzServer } from './server.ts'

/** A PATCH, and the resource that it meets. */
export interface PatchInput {
  readonly given: keyof typeof GIVEN
  readonly format: keyof typeof FORMATS
  /**
   * How the content is delimited. With `cut-…` the connection is closed before the announced end.
   */
  readonly framing: 'length' | 'chunked' | 'cut-length' | 'cut-chunked'
  readonly bytes: Uint8Array
  /** Seed of the random sizes of the chunks. */
  readonly seed: number
}

const DATA = 'abcdefghij'
const incomplete = (size: number, length: number | null): Model => ({
  bytes: DATA.slice(0, size),
  length,
  isComplete: false,
  wasComplete: false,
})

/** States of a resource, and the patch that makes each of them; null for none. */
export const GIVEN = {
  '∅': { model: null, range: null },
  'I(4/10)': { model: incomplete(4, 10), range: 'bytes 0-3/10' },
  'I(4/*)': { model: incomplete(4, null), range: 'bytes 0-3/*' },
  'C(10)': {
    model: { bytes: DATA, length: 10, isComplete: true, wasComplete: true },
    range: 'bytes 0-9/10',
  },
} as const satisfies Readonly<Record<string, { model: Model; range: string | null }>>

/** Media types by a short name. */
export const FORMATS = {
  message: 'message/byteranges',
  multipart: 'multipart/byteranges; boundary=B',
  unnamed: 'multipart/byteranges',
  binary: 'application/byteranges',
} as const

const LIMITS = { maxParts: 4, maxPartHeaderSize: 300, maxSize: MAX_SIZE }
/** Number of bytes that the content of `cut-length` announces and does not send. */
const MISSING = 2
/** Longest time until the server has handled a lost connection, in milliseconds. */
const LONGEST_WAIT = 3000

/** Sends the patch, and compares the answer and the resource with the reference and the model. */
export async function checkPatch(server: FuzzServer, input: PatchInput): Promise<void> {
  const { model, range } = GIVEN[input.given]
  const path = await server.path()
  if (range !== null) {
    const { status } = await send(server, path, 'PATCH', create(range, model?.bytes ?? ''))
    assert([201, 202].includes(status), `${status} for a sound upload`)
  }
  if (input.framing.startsWith('cut')) await checkCut(server, path, model, input)
  else await checkWhole(server, path, model, input)
  assert.deepEqual(server.failures.splice(0), [])
}

const MESSAGE = `Content-Type: ${FORMATS.message}`

async function checkWhole(
  server: FuzzServer,
  path: string,
  model: Model,
  input: PatchInput,
): Promise<void> {
  const connection = await server.connection()
  const sent = connection.send(request('PATCH', path, fields(input), content(input)))
  const { status } = await sent.answer()
  const found = await look(server, path)
  const document = read(input)
  if (document !== null) {
    expectPatched(model, document, status, found, input.format !== 'message')
    return
  }
  assert(status >= 400 && status < 500, `${status} for a malformed document`)
  // A persist write may have stored data before the end showed that too few bytes had arrived. They
  // stay as after a lost connection.
  const rest = input.framing === 'chunked' ? afterCut(model, input) : model
  assert.deepEqual(found, seen(rest), 'after a refused document')
}

/** Sends the incomplete content, closes the connection, and checks the resource. */
async function checkCut(
  server: FuzzServer,
  path: string,
  model: Model,
  input: PatchInput,
): Promise<void> {
  const expected = seen(afterCut(model, input))
  const connection = await server.connect()
  connection.send(request('PATCH', path, fields(input), content(input)))
  connection.close()
  await connection.closed()
  const deadline = Date.now() + LONGEST_WAIT
  let found = await look(server, path)
  while (!isDeepStrictEqual(found, expected) && Date.now() < deadline) {
    found = await look(server, path)
  }
  assert.deepEqual(found, expected, 'after a cut')
}

function create(range: string, data: string): string {
  return `Content-Range: ${range}\r\n\r\n${data}`
}

/**
 * Returns the parts of the document as the reference reads them; null if it is malformed or if a
 * part does not match its digest.
 */
function read(input: PatchInput): ReferenceDocument {
  const text = Buffer.from(input.bytes).toString('latin1')
  const document = readDocument(input, text)
  return document?.every(hasItsDigest) ? document : null
}

function readDocument({ format, framing }: PatchInput, text: string): ReferenceDocument {
  switch (format) {
    case 'message':
      return (framing === 'length' ? referenceKnownMessage : referenceMessage)(text, LIMITS)
    case 'binary':
      return referenceBinary(text, LIMITS)
    case 'multipart':
      return referenceMultipart(text, 'B', LIMITS)
    case 'unnamed':
      return referenceMultipart(text, null, LIMITS)
  }
}

function hasItsDigest({ contentDigest, data }: ReferenceData): boolean {
  const digests = contentDigest === null ? null : referenceDigest(contentDigest)
  return ['sha-256', 'sha-512'].every((algorithm) => {
    const announced = digests?.get(algorithm)
    if (announced === undefined) return true
    const hash = createHash(algorithm.replace('-', '')).update(data, 'latin1').digest()
    return Buffer.from(announced, 'base64').equals(hash)
  })
}

function expectPatched(
  model: Model,
  document: readonly ReferenceData[],
  status: number,
  found: readonly string[],
  fillsGaps: boolean,
): void {
  const expected = apply(model, document, fillsGaps)
  if (expected !== null) {
    assert.deepEqual([status, ...found], [expected.status, ...seen(expected.model)])
    return
  }
  // Only a part without data can be refused by 400 in a well-formed document, because it has to
  // begin at the end of the resource.
  const isWrong = status === 415 || (status === 400 && document.every(({ data }) => data !== ''))
  assert(status < 500 && !isWrong, `${status} for a well-formed document`)
  if (status >= 400) assert.deepEqual(found, seen(model), 'a refused patch changes nothing')
  else assert.equal(found[1], overwrite(model?.bytes ?? '', document, found[1]!.length))
}

/**
 * Returns what the model expects; null if the model has no rule, because the parts are not in the
 * order of their positions.
 */
function apply(model: Model, whole: readonly ReferenceData[], fillsGaps: boolean): Outcome | null {
  const [first] = whole
  if (whole.length === 1 && first?.data === '') return applyEmpty(model, first, fillsGaps)
  const document = whole.map((part) => ({ ...part, ...placed(part) }))
  const parts = document.map(({ range, completeLength: total, data }) => ({
    first: range?.[0] ?? 0,
    data,
    total,
  }))
  const isOrdered = document.every(
    ({ range, data, completeLength }, index) =>
      range !== null &&
      data !== '' &&
      completeLength === first?.completeLength &&
      (index === 0 || range[0] >= (document[index - 1]!.range?.[0] ?? 0)),
  )
  return isOrdered ? patch(model, parts) : null
}

/**
 * Applies the only part of a patch, which has no data. The header of an open part is judged before
 * the server can know that no data follows. If the format fills gaps, a later part might fill the
 * one before it.
 */
function applyEmpty(model: Model, part: ReferenceData, fillsGaps: boolean): Outcome {
  const { completeLength: total } = part
  const { range, offset } = placed(part)
  const size = model?.bytes.length ?? 0
  const start = range?.[0] ?? offset ?? size
  if (part.isOpen) {
    const first = fillsGaps ? Math.min(start, size) : start
    const begun = patch(model, [{ first, data: '', total }])
    if (begun.status >= 400) return begun
  }
  const refused = { status: 400, model }
  if (start !== size) return refused
  if (range === null) return declare(model, total!)
  // A range of no bytes confirms what is stored.
  const length = model?.length ?? size
  if (model === null || (total !== null && total !== length)) return refused
  return patch(model, [{ first: start, data: '', total }])
}

function overwrite(old: string, document: readonly ReferenceData[], size: number): string {
  const bytes = Buffer.alloc(Math.max(size, MAX_SIZE), old, 'latin1').fill(0, old.length)
  for (const part of document) bytes.write(part.data, placed(part).range?.[0] ?? 0, 'latin1')
  return bytes.toString('latin1', 0, size)
}

/**
 * Returns the resource after a lost connection. Only a message with one range is a persist write,
 * whose bytes stay.
 */
function afterCut(model: Model, { format, framing, bytes }: PatchInput): Model {
  if (format !== 'message') return model
  const text = Buffer.from(bytes).toString('latin1')
  const missing = 'x'.repeat(framing === 'cut-length' ? MISSING : 0)
  const isKnown = framing.endsWith('length')
  const whole = (isKnown ? referenceKnownMessage : referenceMessage)(`${text}${missing}`, LIMITS)
  if (framing === 'cut-length' || whole !== null)
    return whole ? keep(model, whole, missing.length) : model
  for (let more = 1; more <= MAX_SIZE; more++) {
    const longer = referenceMessage(`${text}${'x'.repeat(more)}`, LIMITS)
    if (longer !== null && text.includes('\r\n\r\n')) return keep(model, longer, more)
  }
  return model
}

function keep(model: Model, [part]: readonly ReferenceData[], missing: number): Model {
  const { data, completeLength, contentDigest } = part!
  const { range } = placed(part!)
  // A digest in the part makes the write atomic, so that nothing stays.
  if (contentDigest !== null) return model
  const whole = apply(model, [part!], false)
  // An open part has no announced length, so that only its arrival at the end of the resource shows
  // that no data is missing.
  const end = range?.[1] ?? placed(part!).offset
  const isAtEnd = whole!.model?.isComplete === true && end === whole!.model.length
  const isWhole = missing === 0 && (!part!.isOpen || isAtEnd)
  if (isWhole && model?.isComplete !== true) return whole!.model
  if (range === null || whole!.status >= 400) return model
  // A new length is declared at the end of the part, unless the part creates the resource.
  const total = model === null ? completeLength : model.length
  return cutModel(model, { first: range[0], data, total }, data.slice(0, data.length - missing))
}

function fields({ format, framing, bytes }: PatchInput): readonly string[] {
  const length = bytes.length + (framing === 'cut-length' ? MISSING : 0)
  const isChunked = framing.endsWith('chunked')
  const delimiter = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`
  return [`Content-Type: ${FORMATS[format]}`, delimiter]
}

function content({ framing, bytes, seed }: PatchInput): Uint8Array {
  if (framing.endsWith('length')) return bytes
  const end = framing === 'chunked' ? [Buffer.from('0\r\n\r\n')] : []
  return Buffer.concat([...cutBytes(bytes, seed).map(chunk), ...end])
}

async function send(server: FuzzServer, path: string, method: string, body = ''): Promise<Answer> {
  const connection = await server.connection()
  const lines = method === 'PATCH' ? [MESSAGE] : []
  return connection.send(request(method, path, lines, body)).answer(method)
}

/** Returns the state and the bytes, and checks that GET and HEAD report the same. */
async function look(server: FuzzServer, path: string): Promise<readonly string[]> {
  const head = await send(server, path, 'HEAD')
  const get = await send(server, path, 'GET')
  const again = await send(server, path, 'HEAD')
  const isSteady = field(head, 'etag') === field(again, 'etag')
  if (!isSteady) return look(server, path)
  assert.equal(head.status, get.status)
  assert.equal(field(head, 'content-length'), String(get.body.length))
  if (get.status === 404) return ['∅', '']
  const text = get.body.toString('latin1')
  if (get.status === 200) return [`C(${text.length})`, text]
  assert.equal(get.status, 299)
  const length = field(get, 'content-range')?.split('/')[1] ?? '*'
  return [`I(${text.length}/${length})`, text]
}

function seen(model: Model): readonly string[] {
  return [stateOf(model), model?.bytes ?? '']
}
