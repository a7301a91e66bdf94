/**
 * Checks that a parser of patches gives the same result however its input is divided into chunks.
 */
import assert from 'node:assert/strict'

import { UploadError } from '../../src/errors.ts'
import { MAX_LINE_REST } from '../../src/media/delimiter.ts'
import { createPartParser } from '../../src/media/parse.ts'
import type { MessageOptions } from '../../src/media/message-byteranges.ts'
import type { Part, PartEvent } from '../../src/media/part.ts'
import {
  referenceBinary,
  referenceKnownMessage,
  referenceMessage,
  referenceMultipart,
  type ReferenceDocument,
} from './reference.ts'

/** A document, how it is announced, and how it arrives. */
export interface ParserInput {
  /** The media type without a boundary. */
  readonly type: 'message/byteranges' | 'multipart/byteranges' | 'application/byteranges'
  /** Null: the parameter is missing. */
  readonly boundary: string | null
  readonly options: MessageOptions
  readonly bytes: Uint8Array
  /** Seed of the random positions at which the document is cut; any integer. */
  readonly seed: number
}

/** Wide and narrow limits for the documents of several parts. */
export const LIMITS_OF_PARTS: readonly MessageOptions[] = [
  { maxParts: 3, maxPartHeaderSize: 300, maxSize: 2 ** 40, contentLength: null },
  { maxParts: 1, maxPartHeaderSize: 40, maxSize: 20, contentLength: null },
]

type Outcome =
  { readonly parts: readonly ParsedPart[] } | { readonly code: string; readonly detail: string }

interface ParsedPart {
  readonly part: Part
  readonly data: string
}

/**
 * Longest boundary with what precedes it, and what may follow it before its line proves to be data.
 */
const MOST_HELD = 2 + 2 + 70 + MAX_LINE_REST

/**
 * Parses the document whole, byte by byte and in random pieces, and compares all results with the
 * reference. Returns the parts, null if the document was refused.
 */
export function checkParser(input: ParserInput): ReferenceDocument {
  const { bytes, seed } = input
  const outcome = parse(input, [bytes])
  assert.deepEqual(parse(input, single(bytes)), outcome, 'byte by byte')
  assert.deepEqual(parse(input, cut(bytes, seed)), outcome, 'in random pieces')

  const expected = reference(input)
  assert.deepEqual('parts' in outcome ? outcome.parts.map(toReference) : null, expected)
  return expected
}

/** Cuts bytes into pieces of pseudo-random sizes, some of them empty. */
export function cut(bytes: Uint8Array, seed: number): readonly Uint8Array[] {
  const pieces: Uint8Array[] = []
  let state = seed | 0
  for (let at = 0; at < bytes.length;) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) | 0
    const size = (state >>> 16) % 24
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}

function parse(input: ParserInput, chunks: readonly Uint8Array[]): Outcome {
  const { type, boundary, options } = input
  const parameter = boundary === null ? '' : `; boundary="${boundary}"`
  const parts: { part: Part; data: string }[] = []
  try {
    const { parser } = createPartParser([`${type}${parameter}`], options)
    for (const chunk of chunks) {
      const borrowed = new Uint8Array(chunk)
      collect(parser.write(borrowed), borrowed, parts, options)
      borrowed.fill(0x21)
    }
    collect(parser.end(), new Uint8Array(0), parts, options)
  } catch (error) {
    if (!(error instanceof UploadError)) throw error
    return { code: error.code, detail: error.message }
  }
  return { parts }
}

function collect(
  events: readonly PartEvent[],
  chunk: Uint8Array,
  parts: { part: Part; data: string }[],
  options: MessageOptions,
): void {
  for (const event of events) {
    if (event.type === 'part') {
      checkPart(event.part, parts.length, options)
      parts.push({ part: event.part, data: '' })
      continue
    }
    const isView = event.bytes.buffer === chunk.buffer
    assert(isView || event.bytes.length <= MOST_HELD, `held back ${event.bytes.length} bytes`)
    assert(event.bytes.length > 0, 'no empty data')
    parts.at(-1)!.data += Buffer.from(event.bytes).toString('latin1')
  }
}

function checkPart(part: Part, index: number, { maxParts, maxSize }: MessageOptions): void {
  const { target, contentType } = part
  assert.equal(part.index ?? 0, index)
  assert(index < maxParts)
  if (target.kind === 'range') {
    const { start, end, completeLength } = target
    assert(Number.isSafeInteger(start) && Number.isSafeInteger(end))
    assert(start >= 0 && start <= end && end <= (completeLength ?? end))
    assert((completeLength ?? end) <= maxSize)
  } else {
    const least = target.completeLength ?? target.start!
    assert(Number.isSafeInteger(least) && least >= 0 && least <= maxSize)
  }
  // It is sent back as a response field.
  assert(contentType === null || /^[\t\x20-\x7e]+$/.test(contentType))
}

function reference({ type, boundary, options, bytes }: ParserInput): ReferenceDocument {
  const text = Buffer.from(bytes).toString('latin1')
  if (type === 'multipart/byteranges') return referenceMultipart(text, boundary, options)
  if (type === 'application/byteranges') return referenceBinary(text, options)
  if (options.contentLength === null) return referenceMessage(text, options)
  return options.contentLength === bytes.length ? referenceKnownMessage(text, options) : null
}

function toReference({ part, data }: ParsedPart): NonNullable<ReferenceDocument>[number] {
  const { target, contentType, contentDigest, reprDigest } = part
  const offset = target.kind === 'range' ? null : (target.start ?? null)
  const range = target.kind === 'range' ? ([target.start, target.end] as const) : null
  const { completeLength } = target
  const isOpen = target.kind === 'open'
  const position = { range, offset, isOpen, completeLength }
  return { ...position, contentType, contentDigest, reprDigest, data }
}

function single(bytes: Uint8Array): readonly Uint8Array[] {
  return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))
}
