/** Files as sources. Two buffers take turns, so that memory does not grow with the size of the file. */
import type { Stats } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'

import { sourceError, type ByteSource } from './byte-source.ts'
import type { BlobLike } from '../transport/transport.ts'

/** Bytes of one read. */
const CHUNK_SIZE = 1024 * 1024

/** Opens a file by its path. `close()` closes it. */
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

/** Reads from an open file, which stays open unless `close` says otherwise. */
export async function openHandle(
  handle: FileHandle,
  close: () => Promise<void> = async () => undefined,
): Promise<ByteSource> {
  const stats = await handle.stat()
  if (!stats.isFile()) throw sourceError('the source is not a regular file')
  // Files in /proc report a size of 0, whatever they hold.
  const { bytesRead } = await handle.read(new Uint8Array(1), 0, 1, stats.size)
  if (bytesRead > 0)
    throw sourceError(`the file holds more than the ${stats.size} bytes of its size`)

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

/** A tool that only touches the file counts as a change as well, because its bytes may have changed. */
function isSameVersion(before: Stats, now: Stats): boolean {
  return before.size === now.size && before.mtimeMs === now.mtimeMs
}

/** A range of a file. Yields its last chunk only if the file is unchanged: the server gets no mixture. */
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
        // The next iteration awaits this read. If the consumer stops before, its failure has no reader.
        next.catch(() => undefined)
        yield chunk
      }
    },
  }
}

/** Fills the buffer from the file. Throws if the file ends before. */
async function fill(handle: FileHandle, buffer: Uint8Array, position: number): Promise<Uint8Array> {
  for (let filled = 0; filled < buffer.byteLength;) {
    const { bytesRead } = await handle
      .read(buffer, filled, buffer.byteLength - filled, position + filled)
      .catch((cause: unknown) => {
        throw sourceError('the file can not be read', cause)
      })
    if (bytesRead === 0) throw sourceError('the file is shorter than it was')
    filled += bytesRead
  }
  return buffer
}
