/**
 * The changes that the clients of a torture run make one after the other. Each one starts from the
 * version before.
 */
import { message, request } from '../../support/wire/client.ts'
import { pattern } from '../../support/faults/pattern.ts'
import { ABSENT } from './model.ts'
import type { Change, Kind, Random, Version } from './model.ts'

/** Length of an upload, in bytes. */
const UPLOAD = 400_000
/** A file that has grown beyond this size is replaced by a PUT. */
const LARGE = 600_000

/** Chooses the next change of a resource. */
export type Choose = (current: Version, random: Random) => Change

/** The name of each client, and the function that chooses its changes. */
export const CHOICES: readonly (readonly [name: string, choose: Choose])[] = [
  ['uploads', upload],
  ['more-uploads', upload],
  ['puts', (current, random) => put(1 + random(300_000), current, random)],
  ['patches', change],
  ['more-patches', change],
  ['multiparts', changeParts],
  ['more-multiparts', changeParts],
  ['removals', createAndRemove],
  ['more-removals', createAndRemove],
]

function upload(current: Version, random: Random): Change {
  if (current.bytes === null) return begin(random)
  return current.complete || random(12) === 0 ? REMOVE : continueUpload(current, random)
}

function change(current: Version, random: Random): Change {
  const { bytes, complete } = current
  if (bytes === null || bytes.length > LARGE) return put(200_000, current, random)
  return complete ? patch(bytes, current, random) : continueUpload(current, random)
}

function changeParts(current: Version, random: Random): Change {
  const { bytes, complete } = current
  if (bytes === null && random(2) === 0) return put(200_000, current, random)
  if (bytes === null || (complete && bytes.length > LARGE)) return rebuild(current, random)
  return overlay(bytes, current, random)
}

function createAndRemove(current: Version, random: Random): Change {
  if (current.bytes !== null) return REMOVE
  return random(3) === 0 ? begin(random) : put(1 + random(5000), current, random)
}

const REMOVE: Change = {
  kind: 'delete',
  method: 'DELETE',
  fields: [],
  body: '',
  next: ABSENT,
  persists: false,
}

/** Returns the bytes of a request that makes `change`. */
export function encode({ method, fields, body }: Change, target: string): Buffer {
  return request(method, target, fields, body)
}

/** Returns whether `status` acknowledges `change`. */
export function isAcknowledged({ next }: Change, status: number): boolean {
  return next.bytes === null || next.complete ? status === 201 || status === 204 : status === 202
}

function finished(bytes: Buffer, type: string): Version {
  return { bytes, complete: true, length: bytes.length, type }
}

function newType(random: Random): string {
  return `application/x-${random(1_000_000)}`
}

function put(size: number, { bytes }: Version, random: Random): Change {
  const body = pattern(size, random(100_000))
  const type = newType(random)
  const persists = random(2) === 0
  const fields = [`Content-Type: ${type}`, ...(persists ? ['Prefer: transaction=persist'] : [])]
  const next = finished(body, type)
  return { kind: 'put', method: 'PUT', fields, body, next, persists: persists && bytes === null }
}

/** The document of a patch, which may be split into parts. */
function patchOf(kind: Kind, parts: readonly Part[], next: Version, fields: readonly string[]) {
  const [only] = parts
  const isSingle = kind !== 'multipart' && only !== undefined
  const type = isSingle ? 'message/byteranges' : 'multipart/byteranges; boundary=SEP'
  return {
    kind,
    method: 'PATCH',
    fields: [`Content-Type: ${type}`, ...fields],
    body: isSingle ? encodePart(only) : multipart(parts),
    next,
  }
}

interface Part {
  readonly range: string
  readonly data: Buffer
  /** Media type; empty to keep the stored one. */
  readonly type: string
}

function encodePart({ range, data, type }: Part): Buffer {
  return message(type === '' ? range : `${range}\r\nContent-Type: ${type}`, data)
}

function multipart(parts: readonly Part[]): Buffer {
  const pieces = parts.flatMap((part) => [
    Buffer.from('--SEP\r\n'),
    encodePart(part),
    Buffer.from('\r\n'),
  ])
  return Buffer.concat([...pieces, Buffer.from('--SEP--\r\n')])
}

function rangeOf(start: number, size: number, length: number | '*'): string {
  return `bytes ${start}-${start + size - 1}/${length}`
}

/** The first segment of an upload. */
function begin(random: Random): Change {
  const type = newType(random)
  const whole = pattern(UPLOAD, random(100_000))
  const bytes = whole.subarray(0, 1 + random(150_000))
  const part = { range: rangeOf(0, bytes.length, UPLOAD), data: bytes, type }
  const next = { bytes, complete: false, length: UPLOAD, type }
  return { ...patchOf('segment', [part], next, []), persists: true }
}

/**
 * The next segment, or a patch without data if all bytes are stored and the resource is not
 * complete yet.
 */
function continueUpload(current: Version, random: Random): Change {
  const { bytes, length, type } = current
  const stored = bytes ?? Buffer.alloc(0)
  // Some segments repeat stored bytes.
  const start = Math.max(0, stored.length - random(3) * random(1000))
  const end = Math.min(length, stored.length + 1 + random(150_000))
  const isEmpty = start === length
  const added = pattern(end - stored.length, random(100_000))
  const whole = Buffer.concat([stored, added])
  const range = isEmpty ? `bytes */${length}` : rangeOf(start, end - start, length)
  const part = { range, data: whole.subarray(start), type: '' }
  const next = { bytes: whole, complete: end === length, length, type }
  const isAtomic = random(6) === 0
  const fields = isAtomic ? ['Prefer: transaction=atomic'] : []
  return { ...patchOf('segment', [part], next, fields), persists: !isAtomic }
}

/**
 * A change of a finished file: its bytes, its length or its type. A longer declared length reopens
 * it.
 */
function patch(bytes: Buffer, { type }: Version, random: Random): Change {
  const [length, action] = [bytes.length, random(8)]
  if (action === 0 && length > 1) {
    const size = 1 + random(length)
    const part = { range: `bytes */${size}`, data: Buffer.alloc(0), type: '' }
    const next = finished(bytes.subarray(0, size), type)
    return { ...patchOf('patch', [part], next, []), persists: false }
  }
  if (action === 1) {
    const grown = length + 1 + random(150_000)
    const part = { range: `bytes */${grown}`, data: Buffer.alloc(0), type: '' }
    const next = { bytes, complete: false, length: grown, type }
    return { ...patchOf('patch', [part], next, []), persists: false }
  }
  const start = random(length + 1)
  const data = pattern(1 + random(150_000), random(100_000))
  const after = Buffer.concat([bytes.subarray(0, start), data, bytes.subarray(start + data.length)])
  const nextType = random(2) === 0 ? newType(random) : type
  const part = { range: rangeOf(start, data.length, after.length), data, type: nextType }
  return { ...patchOf('patch', [part], finished(after, nextType), []), persists: false }
}

/** A multipart patch of stored bytes, whose last part extends the resource. */
function overlay(bytes: Buffer, current: Version, random: Random): Change {
  const room = current.complete ? 50_000 : current.length - bytes.length
  const added = Math.min(room, random(100_000))
  const after = Buffer.concat([bytes, Buffer.alloc(added)])
  const starts = [random(bytes.length), random(bytes.length), bytes.length]
  const parts = starts.flatMap((start, index) => {
    const size = index === 2 ? added : Math.min(1 + random(60_000), bytes.length - start)
    if (size === 0) return []
    const data = pattern(size, random(100_000))
    data.copy(after, start)
    return [{ range: rangeOf(start, size, '*'), data, type: '' }]
  })
  const length = current.complete ? after.length : current.length
  const next = { ...current, bytes: after, length, complete: after.length === length }
  return { ...patchOf('multipart', parts, next, []), persists: false }
}

/**
 * A multipart patch with its parts out of order, which creates a resource or overwrites all of it.
 */
function rebuild(current: Version, random: Random): Change {
  const type = newType(random)
  const length = Math.max(current.length, 100_000 + random(300_000))
  const size = current.bytes === null && random(2) === 0 ? length - random(50_000) : length
  const bytes = pattern(size, random(100_000))
  const middle = 1 + random(size - 1)
  const parts = [
    { range: rangeOf(middle, size - middle, length), data: bytes.subarray(middle), type },
    { range: rangeOf(0, middle, length), data: bytes.subarray(0, middle), type: '' },
  ]
  const next = { bytes, complete: size === length, length, type }
  return { ...patchOf('multipart', parts, next, []), persists: false }
}
