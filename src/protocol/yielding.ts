/** Much work in short pieces, so that one client with much of it does not hold up the others. */

/** Resolves in a later turn of the event loop, when others have been served. */
export type NextTurn = () => Promise<unknown>

/** How long work may keep others waiting, in milliseconds. */
const LONGEST_TURN = 10

/** Largest piece of work, in bytes: about a millisecond of hashing. */
const SLICE_SIZE = 512 * 1024

/**
 * Gives out the bytes of all chunks in slices of at most 512 KiB, and takes a turn where the work on
 * them has lasted 10 ms. Not after each: that costs a plain upload a third of its speed.
 */
export async function* inTurns(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  nextTurn: NextTurn,
): AsyncGenerator<Uint8Array, void, undefined> {
  let turn = performance.now()
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.byteLength; start += SLICE_SIZE) {
      if (performance.now() - turn >= LONGEST_TURN) {
        await nextTurn()
        turn = performance.now()
      }
      yield chunk.subarray(start, start + SLICE_SIZE)
    }
  }
}
