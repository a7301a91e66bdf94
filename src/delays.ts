/** Delays of background work: the longest timer of Node, and exponential backoff. */

/** Longest delay of a timer in milliseconds. Node treats a longer one as 1 ms. */
export const LONGEST_TIMER = 2 ** 31 - 1

/** Range of the delays between attempts, in milliseconds. */
export interface Backoff {
  /** Delay after the first failure. It doubles with each further failure in a row. */
  readonly first: number
  readonly longest: number
}

/**
 * Returns the delay until the next attempt, in milliseconds. It has no jitter, because the attempts
 * are those of one process, which makes them one after the other.
 *
 * @param failures Number of attempts that have failed in a row, at least 1.
 */
export function delayAfter(failures: number, { first, longest }: Backoff): number {
  return Math.min(longest, first * 2 ** (failures - 1))
}
