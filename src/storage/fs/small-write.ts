/** Writes a few bytes without waiting for a thread of the pool. */

import { writevSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { totalLength, withoutStart, writeAll } from './io.ts'
import { SMALL_WRITES } from './synchronous-calls.ts'
import type { OnFileSystem } from './synchronous-calls.ts'

/**
 * Largest number of bytes of a synchronous write. The system copies them in about 50 microseconds.
 */
const SMALL = 128 * 1024

/**
 * Writes all of `chunks` to the file, from `position` on, like `writeAll`. A small write to a quick
 * disk is synchronous, because the wait for a thread of the pool would cost more CPU time than the
 * copy into the page cache. The caller passes only the first bytes of a request: the batches of a
 * large request, written one after the other, would hold up all other requests.
 */
export async function writeFirst(
  folders: OnFileSystem,
  file: FileHandle,
  position: number,
  chunks: readonly Uint8Array[],
): Promise<void> {
  if (totalLength(chunks) > SMALL || !SMALL_WRITES.areQuick(folders)) {
    return writeAll(file, position, chunks)
  }
  const written = SMALL_WRITES.time(folders, () => writevSync(file.fd, chunks, position))
  // The system writes only a part of the bytes on a disk that is nearly full.
  await writeAll(file, position + written, withoutStart(chunks, written))
}
