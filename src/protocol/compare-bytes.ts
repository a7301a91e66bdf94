/** Compares the bytes of a patch with those that are stored. */
import type { Writer } from '../storage/adapter.ts'

/**
 * Returns the number of leading bytes of `chunks` that are stored at `position`. Reads up to the
 * first difference.
 */
export async function countEqual(
  writer: Writer,
  position: number,
  chunks: readonly Uint8Array[],
): Promise<number> {
  const stored = writer.base?.size ?? 0
  if (position >= stored) return 0
  const length = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
  let equal = 0
  for await (const bytes of writer.read(position, Math.min(stored, position + length))) {
    const same = countEqualBytes(bytes, skip(chunks, equal))
    equal += same
    if (same < bytes.byteLength) break
  }
  return equal
}

/**
 * Returns the number of leading bytes that `stored` and `chunks` have in common. The loop uses an
 * index, because an iterator takes ten times as long: 180 ms for 4 MiB.
 */
function countEqualBytes(stored: Uint8Array, chunks: readonly Uint8Array[]): number {
  let equal = 0
  for (const chunk of chunks) {
    const length = Math.min(chunk.byteLength, stored.byteLength - equal)
    let same = 0
    while (same < length && chunk[same] === stored[equal + same]) same += 1
    equal += same
    if (same < chunk.byteLength) return equal
  }
  return equal
}

/**
 * Returns the chunks without their first `count` bytes, as views of the same memory. Empty chunks
 * are left out.
 */
export function skip(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = []
  let left = count
  for (const chunk of chunks) {
    if (chunk.byteLength > left) rest.push(left === 0 ? chunk : chunk.subarray(left))
    left = Math.max(0, left - chunk.byteLength)
  }
  return rest
}
