/** Bytes → a message with one range, under one of several limits, its length known or not. */
import { checkParser } from '../check-parser.ts'
import { splitInput } from '../input.ts'

const LIMITS = [
  { maxParts: 1, maxPartHeaderSize: 8192, maxSize: 2 ** 40 },
  { maxParts: 1, maxPartHeaderSize: 40, maxSize: Number.MAX_SAFE_INTEGER },
  { maxParts: 1, maxPartHeaderSize: 60, maxSize: 20 },
]

export function fuzz(data: Uint8Array): void {
  const { choice, seed, bytes } = splitInput(data)
  const contentLength = [null, bytes.length, bytes.length + 1][choice >> 4] ?? null
  checkParser({
    type: 'message/byteranges',
    boundary: null,
    options: { ...LIMITS[choice % LIMITS.length]!, contentLength },
    bytes,
    seed,
  })
}
