/** Much data, slice by slice, so that one client with much of it does not hold up the others. */

/** Resolves in a later turn of the event loop, when others have been served. */
export type NextTurn = () => Promise<unknown>

/** Bytes in one turn: at the 20 ns that a hostile client can make each of them cost, 10 ms. */
const SLICE_SIZE = 512 * 1024

/** Gives out the bytes of all chunks in slices of at most 512 KiB, and takes a turn after as many. */
export async function* inSlices(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  nextTurn: NextTurn,
): AsyncGenerator<Uint8Array, void, undefined> {
  let size = 0
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.byteLength; start += SLICE_SIZE) {
      if (size >= SLICE_SIZE) {
        await nextTurn()
        size = 0
      }
      const slice = chunk.subarray(start, start + SLICE_SIZE)
      size += slice.byteLength
      yield slice
    }
  }
}
