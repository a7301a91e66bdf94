/**
 * Copies the bytes of a version with layers. The system can't copy them, because they lie in
 * several files.
 */

import type { FileHandle } from 'node:fs/promises'
import { readFully, writeAll } from '../io.ts'
import type { ReadableFile } from '../io.ts'

/** Number of bytes that are read and written by one call. */
const BLOCK = 1024 * 1024
const ZEROS = Buffer.alloc(BLOCK)

/**
 * Copies the first `size` bytes into an empty file. Blocks of zeros are not written, so that a file
 * with holes does not fill the disk. `afterBlock` is called with the number of bytes copied so far,
 * and may delay the next block.
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
