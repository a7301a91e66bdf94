/**
 * Files as sources in Node.
 *
 * `fs.openAsBlob` is not used, because it truncates files of 4 GiB and more (Node 20 to 24). A file
 * is read into two buffers in turn: one is filled while the other is sent, so that memory does not
 * grow with the size of the file.
 */
import type { Stats } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'

import { sourceError, type ByteSource } from './byte-source.ts'
import type { BlobLike } from '../transport/transport.ts'

/** Number of bytes to read at a time. */
const CHUNK_SIZE = 1024 * 1024

/**
 * Opens a file by its path or `file:` URL. `close()` of the source closes the file.
 *
 * @throws ClientError `ERR_SOURCE` if the file can't be opened, or if `openHandle` refuses it.
 */
export async function openPath(path: string | URL): Promise<ByteSource> {
  const handle = await open(path).catch((cause: unknown) => {
    throw sourceError('the file can not be opened', cause)
  })
  const name = basename(path instanceof URL ? fileURLToPath(path) : path)
  try {
    return { ...(await openHandle(handle, async () => handle.close())), name }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/**
 * Makes a source of an open file, which belongs to the caller and stays open unless `close` closes
 * it.
 *
 * @throws ClientError `ERR_SOURCE` for a directory, a pipe or a device, and for a file that holds
 * more bytes than its size.
 */
export async function openHandle(
  handle: FileHandle,
  close: () => Promise<void> = async () => undefined,
): Promise<ByteSource> {
  const stats = await handle.stat()
  if (!stats.isFile()) throw sourceError('the source is not a regular file')
  // Files in /proc report a size of 0 whatever they contain. Without this check an empty resource
  // would be uploaded and reported as complete.
  const { bytesRead } = await handle.read(new Uint8Array(1), 0, 1, stats.size)
  if (bytesRead > 0)
    throw sourceError(`the file contains more bytes than its size of ${stats.size} bytes`)

  /** Throws if another program has changed the file since it was opened. */
  async function checkUnchanged(): Promise<void> {
    if (isSameVersion(stats, await handle.stat())) return
    throw sourceError('the file has changed since the upload began')
  }

  return {
    size: stats.size,
    lastModified: stats.mtimeMs,
    once: false,
    slice: async (start, end) => {
      await checkUnchanged()
      return fileRange(handle, start, Math.min(end, stats.size), checkUnchanged)
    },
    close,
  }
}

/**
 * Whether size and modification time are those of before. A program that only sets a new
 * modification time counts as a change, because the bytes may have changed as well.
 */
function isSameVersion(before: Stats, now: Stats): boolean {
  return before.size === now.size && before.mtimeMs === now.mtimeMs
}

/**
 * Returns a range of a file, in the form of a Blob. Before its last chunk it checks that the file
 * is unchanged. Another program may have changed the file in between, and if the range ended
 * normally, the server would store a mixture of both versions as complete.
 */
function fileRange(
  handle: FileHandle,
  start: number,
  end: number,
  checkUnchanged: () => Promise<void>,
): BlobLike {
  return {
    size: end - start,
    arrayBuffer: async () => {
      const buffer = new ArrayBuffer(end - start)
      await fill(handle, new Uint8Array(buffer), start)
      return buffer
    },
    async *stream() {
      if (start === end) return
      const size = Math.min(CHUNK_SIZE, end - start)
      const buffers = [new Uint8Array(size), new Uint8Array(size)]
      const read = async (position: number, turn: number): Promise<Uint8Array> =>
        fill(handle, buffers[turn % 2]!.subarray(0, Math.min(size, end - position)), position)
      let next = read(start, 0)
      for (let position = start, turn = 1; position < end; turn++) {
        const chunk = await next
        position += chunk.byteLength
        if (position < end) next = read(position, turn)
        else await checkUnchanged()
        // The next iteration awaits this read. If the consumer stops before that, a failure of the
        // read would be an unhandled rejection.
        next.catch(() => undefined)
        yield chunk
      }
    },
  }
}

/**
 * Fills the buffer from `position` of the file on. Throws if the file ends before the buffer is
 * full.
 */
async function fill(handle: FileHandle, buffer: Uint8Array, position: number): Promise<Uint8Array> {
  for (let filled = 0; filled < buffer.byteLength;) {
    const { bytesRead } = await handle
      .read(buffer, filled, buffer.byteLength - filled, position + filled)
      .catch((cause: unknown) => {
        throw sourceError('the file can not be read', cause)
      })
    if (bytesRead === 0) throw sourceError('the file has become shorter since the upload began')
    filled += bytesRead
  }
  return buffer
}
