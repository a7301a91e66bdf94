/** Counts, with V8's own counters, how often each block of `src` is entered. */
import { Session } from 'node:inspector'
import type { Profiler } from 'node:inspector'

/** Number of executions of each block, by its name. */
export type Counts = ReadonlyMap<string, number>

/** The counters of this process; they cost time while they are on. */
export class BlockCounters {
  readonly #session = new Session()

  /** Switches the counters on. Call it before the code to be counted runs for the first time. */
  async start(): Promise<void> {
    this.#session.connect()
    await this.#post('Profiler.enable')
    await this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** Returns the counts since the last call, and resets them. */
  async take(): Promise<Counts> {
    const { result } = await this.#post('Profiler.takePreciseCoverage')
    const counts = new Map<string, number>()
    for (const { url, functions } of result) {
      if (!url.includes('/src/')) continue
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          if (count > 0) counts.set(`${url}:${startOffset}-${endOffset}`, count)
        }
      }
    }
    return counts
  }

  stop(): void {
    this.#session.disconnect()
  }

  #post(
    method: string,
    params: Profiler.StartPreciseCoverageParameterType = {},
  ): Promise<Profiler.TakePreciseCoverageReturnType> {
    return new Promise((resolve, reject) => {
      this.#session.post(method, params, (error, result) => {
        if (error) reject(error)
        else resolve(result as Profiler.TakePreciseCoverageReturnType)
      })
    })
  }
}
