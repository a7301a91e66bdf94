/** Bytes → a multipart of one of several boundaries, under one of several limits. */
import { checkParser } from '../check-parser.ts'
import { splitInput } from '../input.ts'

const BOUNDARIES = [
  'B',
  null,
  'B-B',
  '-'.repeat(70),
  '--',
  'a b',
  'BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB',
]
const LIMITS = [
  { maxParts: 3, maxPartHeaderSize: 300, maxSize: 2 ** 40, contentLength: null },
  { maxParts: 1, maxPartHeaderSize: 40, maxSize: 20, contentLength: null },
]

export function fuzz(data: Uint8Array): void {
  const { choice, seed, bytes } = splitInput(data)
  checkParser({
    type: 'multipart/byteranges',
    boundary: BOUNDARIES[choice % BOUNDARIES.length]!,
    options: LIMITS[choice >> 7]!,
    bytes,
    seed,
  })
}
