/** Bytes → an `application/byteranges`, under one of several limits. */
import { LIMITS_OF_PARTS, checkParser } from '../check-parser.ts'
import { splitInput } from '../input.ts'

export function fuzz(data: Uint8Array): void {
  const { choice, seed, bytes } = splitInput(data)
  checkParser({
    type: 'application/byteranges',
    boundary: null,
    options: LIMITS_OF_PARTS[choice % 2]!,
    bytes,
    seed,
  })
}
