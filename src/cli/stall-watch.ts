/** Ends a request during which no byte moves for too long. */

/** The time limit of one request. */
export interface Watch {
  /**
   * Aborts with the signal of the job, after the timeout without a byte, and at the end of the
   * request.
   */
  readonly signal: AbortSignal
  /** Stops the timer. */
  readonly rest: () => void
  /** Starts the timer from the beginning. */
  readonly note: () => void
  /** Whether no byte has arrived for the timeout. */
  readonly hasStalled: () => boolean
  /** Stops the timer, and closes the connection if its content was not read to the end. */
  readonly stop: () => void
}

/** Starts the timer of a request. `timeout` is in milliseconds; 0 sets no limit. */
export function startWatch(job: AbortSignal, timeout: number): Watch {
  const controller = new AbortController()
  const abort = (): void => controller.abort()
  let stalled = false
  let timer: NodeJS.Timeout | undefined
  const rest = (): void => clearTimeout(timer)
  const note = (): void => {
    rest()
    if (timeout === 0) return
    timer = setTimeout(() => {
      stalled = true
      abort()
    }, timeout)
  }
  job.addEventListener('abort', abort)
  note()
  return {
    signal: controller.signal,
    rest,
    note,
    hasStalled: () => stalled,
    stop: () => {
      rest()
      job.removeEventListener('abort', abort)
      abort()
    },
  }
}
