/** Bytes → a multipart of one of several boundaries, under one of several limits. */
import { LIMITS_OF_PARTS, checkParser } from '../check-parser.ts'
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

export function fuzz(data: Uint8Array): void {
  const { choice, seed, bytes } = splitInput(data)
  checkParser({
    type: 'multipart/byteranges',
    boundary: BOUNDARIES[choice % BOUNDARIES.length]!,
    options: LIMITS_OF_PARTS[choice >> 7]!,
    bytes,
    seed,
  })
}
