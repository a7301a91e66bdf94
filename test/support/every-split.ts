/** Runs a parser over every cut of a message: the result may not depend on how its bytes arrive. */
import { expect } from 'vitest'
import { UploadError } from '../../src/errors.ts'
import type { Part, PartEvent, PartParser } from '../../src/media/part.ts'

/** A part with all of its data, as text in which each character is a byte. */
export interface ParsedPart extends Omit<Part, 'index'> {
  readonly data: string
}

/** The result of a message: its parts, or the error and the call of the parser that threw it. */
export type Outcome =
  | { readonly parts: readonly ParsedPart[] }
  | { readonly thrownBy: 'write' | 'end'; readonly code: string; readonly detail: string }

/**
 * Parses the message whole, in every two-way split, byte by byte and with empty chunks between, and
 * returns the result.
 */
export function everySplit(createParser: () => PartParser, message: string): Outcome {
  const bytes = toBytes(message)
  const outcome = parseChunks(createParser(), [bytes])
  for (let at = 0; at <= bytes.length; at++) {
    const chunks = [bytes.subarray(0, at), bytes.subarray(at)]
    expect(parseChunks(createParser(), chunks), `split at ${at}`).toEqual(outcome)
  }
  const single = Array.from(bytes, (byte) => Uint8Array.of(byte))
  expect(parseChunks(createParser(), single), 'byte by byte').toEqual(outcome)
  const spaced = single.flatMap((chunk) => [new Uint8Array(0), chunk])
  expect(parseChunks(createParser(), spaced), 'with empty chunks').toEqual(outcome)
  return outcome
}

/** Parses a message that arrives in the given chunks, each of which is overwritten afterwards. */
export function parseChunks(parser: PartParser, chunks: readonly Uint8Array[]): Outcome {
  const parts: { part: Part; data: string }[] = []
  const collect = (events: readonly PartEvent[]): void => {
    for (const event of events) {
      if (event.type === 'part') parts.push({ part: event.part, data: '' })
      else parts[parts.length - 1]!.data += fromBytes(event.bytes)
    }
  }
  let thrownBy: 'write' | 'end' = 'write'
  try {
    for (const chunk of chunks) {
      const borrowed = chunk.slice()
      collect(parser.write(borrowed))
      borrowed.fill(0x21)
    }
    thrownBy = 'end'
    collect(parser.end())
  } catch (error) {
    if (!(error instanceof UploadError)) throw error
    return { thrownBy, code: error.code, detail: error.message }
  }
  expect(parts.map(({ part }) => part.index ?? 0)).toEqual(parts.map((_, index) => index))
  return {
    parts: parts.map(
      ({ part: { target, contentType, contentDisposition, contentDigest, reprDigest }, data }) => ({
        target,
        contentType,
        contentDisposition,
        contentDigest,
        reprDigest,
        data,
      }),
    ),
  }
}

/** Encodes text in which each character is a byte. */
export function toBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}

function fromBytes(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}
