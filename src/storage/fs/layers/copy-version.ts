/** Copies the bytes of a version, as far as its layers keep the system from doing that itself. */

import type { FileHandle } from 'node:fs/promises'
import { readFully, writeAll } from '../io.ts'
import type { ReadableFile } from '../io.ts'

const BLOCK = 1024 * 1024
const ZEROS = Buffer.alloc(BLOCK)

/**
 * Copies the first `size` bytes into an empty file. Blocks of zeros are left out, so that holes stay holes.
 * `afterBlock` is called with the number of bytes copied so far.
 */
export async function copyVersion(
  from: ReadableFile,
  to: FileHandle,
  size: number,
  afterBlock: (position: number) => Promise<void> = async () => {},
): Promise<void> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(BLOCK, size))
  for (let position = 0; position < size;) {
    const block = buffer.subarray(0, Math.min(BLOCK, size - position))
    await readFully(from, block, position)
    if (!block.equals(ZEROS.subarray(0, block.length))) await writeAll(to, position, [block])
    position += block.length
    await afterBlock(position)
  }
  await to.truncate(size)
}
