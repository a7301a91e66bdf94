/**
 * Runs calls that consist of one request, such as `status` and `remove`, and repeats them after
 * failures.
 */
import { connect, type Connection } from './exchange.ts'
import type { RequestOptions } from './options.ts'
import { createRetry } from './retry.ts'
import type { Platform } from './transport/transport.ts'

/**
 * Checks the options, and calls `work` until it succeeds, as `repeat` does. `table` lists the
 * options of the call.
 *
 * @throws TypeError for a wrong URL, an unknown option and a value out of range.
 * @throws ClientError for a refusal, and for a failure after all `retries`.
 */
export async function withRetries<T>(
  url: string | URL,
  options: RequestOptions,
  platform: Platform,
  work: (connection: Connection) => Promise<T>,
  table?: object,
): Promise<T> {
  return repeat(connect(url, options, platform, table), work)
}

/**
 * Calls `work` until it succeeds. Gives up after an error that is not transient, after as many
 * failures as `retries` allows, and when the signal aborts. In every case it ends the connection.
 *
 * @throws ClientError for a refusal, and for a failure after all `retries`.
 */
export async function repeat<T>(
  connection: Connection,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const { signal } = connection
  const retry = createRetry(connection)
  try {
    for (;;) {
      signal.throwIfAborted()
      try {
        const result = await work(connection)
        // A callback that has thrown during the request has aborted the signal, and the call must
        // reject.
        signal.throwIfAborted()
        return result
      } catch (error) {
        signal.throwIfAborted()
        await retry.wait(error, signal)
      }
    }
  } finally {
    connection.abort()
  }
}
