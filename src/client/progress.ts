/** Measures the progress of a transfer: the number of bytes and the rate. */
import type { Clock } from './clock.ts'
import type { Progress } from './options.ts'

/** Shortest time between two reports, in milliseconds. */
const REPORT_INTERVAL = 50
/** Shortest time over which a rate is measured, in milliseconds. */
const RATE_INTERVAL = 250
/** Time constant of the exponential moving average of the rate, in milliseconds. */
const RATE_MEMORY = 3000

/**
 * Measures one transfer. Its listener is called at most every 50 ms while bytes move, and in any
 * case at the start, after an interruption and at the end.
 */
export interface ProgressMeter {
  /**
   * Sets the position to `sent` and reports it, at the start and after an interruption. The time of
   * the interruption does not count for the rate.
   */
  readonly start: (sent: number) => void
  /** Sets the position to `sent` after bytes have moved. */
  readonly move: (sent: number) => void
}

/**
 * Creates a meter. `measured.size` is the number of bytes in all; it is read at each report,
 * because the size of a stream becomes known only at its end.
 */
export function createProgressMeter(
  clock: Clock,
  measured: { readonly size: number | null },
  listener: (progress: Progress) => void,
): ProgressMeter {
  let reportedAt = 0
  let markedAt = 0
  let marked = 0
  let rate: number | null = null

  function report(sent: number): void {
    reportedAt = clock.now()
    listener({ sent, size: measured.size, rate })
  }

  return {
    start: (sent) => {
      markedAt = clock.now()
      marked = sent
      report(sent)
    },
    move: (sent) => {
      const elapsed = clock.now() - markedAt
      if (elapsed >= RATE_INTERVAL) {
        // The longer the measurement took, the more it replaces the average of before.
        const current = ((sent - marked) / elapsed) * 1000
        const weight = Math.exp(-elapsed / RATE_MEMORY)
        rate = (rate ?? current) * weight + current * (1 - weight)
        markedAt += elapsed
        marked = sent
      }
      // The end is always reported, even if it follows another report at once.
      if (sent === measured.size || clock.now() - reportedAt >= REPORT_INTERVAL) report(sent)
    },
  }
}
