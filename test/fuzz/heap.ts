/** Reports, while a target is fuzzed, how much of the heap remains after a full collection. */
import { appendFileSync } from 'node:fs'

/** Between two samples, in milliseconds. */
const INTERVAL = 2000

/**
 * Wraps a target: samples go into the file that the environment names, one in each line, in bytes.
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
