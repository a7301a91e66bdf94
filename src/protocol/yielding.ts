/**
 * Divides long work on bytes into slices, so that the event loop can serve other clients in
 * between.
 */
import { setImmediate as yieldToEventLoop } from 'node:timers/promises'

/** Longest time that work may block the event loop, in milliseconds. */
const LONGEST_BLOCK = 10

/** Largest slice, in bytes: about a millisecond of hashing. */
const SLICE_SIZE = 512 * 1024

/**
 * Calls `work` with the bytes of all chunks in slices of at most 512 KiB, and yields to the event
 * loop after each 10 ms of work. Yielding after each slice would cost a plain upload a third of its
 * speed.
 */
export async function inSlices(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  work: (slice: Uint8Array) => void,
): Promise<void> {
  let start = performance.now()
  const isLong = (): boolean => performance.now() - start >= LONGEST_BLOCK

  async function workOn(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.byteLength; at += SLICE_SIZE) {
      if (isLong()) {
        await yieldToEventLoop()
        start = performance.now()
      }
      work(chunk.subarray(at, at + SLICE_SIZE))
    }
  }

  if (Symbol.asyncIterator in chunks) {
    for await (const chunk of chunks) await workOn(chunk)
    return
  }
  for (const chunk of chunks) {
    // Small chunks skip `workOn`, because a promise and a view for each chunk would cost as much as
    // parsing it.
    if (chunk.byteLength > SLICE_SIZE || isLong()) await workOn(chunk)
    else work(chunk)
  }
}
