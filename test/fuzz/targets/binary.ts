/** Bytes → an `application/byteranges`, under one of several limits. */
import { checkParser } from '../check-parser.ts'
import { splitInput } from '../input.ts'

const LIMITS = [
  { maxParts: 3, maxPartHeaderSize: 300, maxSize: 2 ** 40, contentLength: null },
  { maxParts: 1, maxPartHeaderSize: 40, maxSize: 20, contentLength: null },
]

export function fuzz(data: Uint8Array): void {
  const { choice, seed, bytes } = splitInput(data)
  checkParser({
    type: 'application/byteranges',
    boundary: null,
    options: LIMITS[choice % 2]!,
    bytes,
    seed,
  })
}
