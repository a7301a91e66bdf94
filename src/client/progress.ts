/** Progress of a transfer: position and rate. */
import type { Clock } from './clock.ts'
import type { Progress } from './options.ts'

/** Least time between two reports, in milliseconds. */
const REPORT_INTERVAL = 50
/** Least time over which a rate is measured, in milliseconds. */
const RATE_INTERVAL = 250
/** Time constant of the moving average of the rate, in milliseconds. */
const RATE_MEMORY = 3000

/** Measures a transfer, and reports to its listener at most every 50 ms. */
export interface ProgressMeter {
  /** Continues at `sent` after a stop. The time of the stop does not count for the rate. */
  readonly start: (sent: number) => void
  /** Records that `sent` bytes of the source have moved in all. */
  readonly move: (sent: number) => void
}

/** Creates a meter for a transfer of `measured.size` bytes, which may become known only later. */
export function createProgressMeter(
  clock: Clock,
  measured: { readonly size: number | null },
  listener: (progress: Progress) => void,
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
    listener({ sent, size: measured.size, rate })
  }

  return { start, move }
}
