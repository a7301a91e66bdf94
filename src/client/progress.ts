/** How far, and how fast. */
import type { Clock } from './clock.ts'
import type { Progress } from './options.ts'

/** Least time between two reports, in milliseconds. */
const REPORT_INTERVAL = 50
/** Least time that a rate is taken over, in milliseconds. */
const RATE_INTERVAL = 250
/** How fast an old rate is forgotten, in milliseconds. */
const RATE_MEMORY = 3000

/** Takes note of how far a transfer is, and reports without flooding its listener. */
export interface ProgressMeter {
  /** Begins at `sent` after a stop, so that the stop does not count as slowness. */
  readonly start: (sent: number) => void
  /** Takes note of bytes that moved. */
  readonly move: (sent: number) => void
}

/** Begins to measure what has the size that `measured` tells. */
export function createProgressMeter(
  clock: Clock,
  measured: { readonly size: number | null },
  listener: ((progress: Progress) => void) | undefined,
): ProgressMeter {
  let reportedAt = 0
  let markedAt = 0
  let marked = 0
  let rate: number | null = null

  function start(sent: number): void {
    markedAt = clock.now()
    marked = sent
    report(sent)
  }

  function move(sent: number): void {
    const elapsed = clock.now() - markedAt
    if (elapsed >= RATE_INTERVAL) {
      const current = ((sent - marked) / elapsed) * 1000
      const weight = Math.exp(-elapsed / RATE_MEMORY)
      rate = (rate ?? current) * weight + current * (1 - weight)
      markedAt += elapsed
      marked = sent
    }
    if (sent === measured.size || clock.now() - reportedAt >= REPORT_INTERVAL) report(sent)
  }

  function report(sent: number): void {
    reportedAt = clock.now()
    const progress = { sent, size: measured.size, rate }
    // Apart from the transfer: an error of the listener must not look like one of the network.
    queueMicrotask(() => listener?.(progress))
  }

  return { start, move }
}
