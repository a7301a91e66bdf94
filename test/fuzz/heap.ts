/** Reports, while a target is fuzzed, how much of the heap remains after a full collection. */
import { appendFileSync } from 'node:fs'

/** Time between two samples, in milliseconds. */
const INTERVAL = 2000

/**
 * Wraps a target. Appends samples of the heap, in bytes and one per line, to the file that
 * `FUZZ_HEAP_FILE` names.
 */
export function watchHeap<T>(fuzz: (data: Buffer) => T): (data: Buffer) => T {
  const file = process.env.FUZZ_HEAP_FILE
  let next = Date.now() + INTERVAL
  return (data) => {
    if (file !== undefined && Date.now() >= next) {
      globalThis.gc?.()
      appendFileSync(file, `${process.memoryUsage().heapUsed}\n`)
      next = Date.now() + INTERVAL
    }
    return fuzz(data)
  }
}
