/** Data in which a misplaced byte is visible. */

/** Bytes that identify their position: nearby positions hold different bytes. */
export function pattern(size: number, seed = 0): Buffer {
  const bytes = Buffer.alloc(size)
  for (let at = 0; at + 4 <= size; at += 4)
    bytes.writeUInt32LE(Math.imul(at + 1, seed * 2 + 0x9e3779b1) >>> 0, at)
  return bytes
}
