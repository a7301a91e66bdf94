/** Runs a property for a time instead of a number of runs. */
import * as fc from 'fast-check'

/** The result of a check. */
export interface Checked {
  readonly runs: number
  /** The smallest input that fails, and the reason; null if all passed. */
  readonly failure: string | null
}

/** Checks the property with random inputs until the time is over or one fails. */
export async function checkForSeconds(
  property: fc.IRawProperty<unknown>,
  seconds: number,
  seed: number,
): Promise<Checked> {
  const details = await fc.check(property, {
    seed,
    numRuns: Number.MAX_SAFE_INTEGER,
    plugins: [fc.interruptAfterTimeLimit(seconds * 1000)],
  })
  const isFailure = details.failed && details.counterexample !== null
  return {
    runs: details.numRuns,
    failure: isFailure ? (fc.defaultReportMessage(details) ?? 'no report') : null,
  }
}
