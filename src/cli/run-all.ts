/** Runs the transfers of several files, a few at a time. */

/**
 * Calls `work` for each item, at most `concurrency` at a time, and resolves with the results.
 * `work` must not reject. After an abort no further item is begun.
 */
export async function runAll<T, R>(
  items: readonly T[],
  concurrency: number,
  signal: AbortSignal,
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = []
  // The workers share one iterator, so that each takes the next item that no other has taken.
  const queue = items.values()

  async function takeItems(): Promise<void> {
    for (const item of queue) {
      if (signal.aborted) return
      results.push(await work(item))
    }
  }

  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, takeItems))
  return results
}
