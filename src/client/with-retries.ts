/** Calls that consist of one request, or of the same one again after a failure. */
import { connect, type Connection } from './exchange.ts'
import type { RequestOptions } from './options.ts'
import { createRetry } from './retry.ts'
import type { Platform } from './transport/transport.ts'

/**
 * Connects to the URL and repeats `work` with that connection, as `repeat` does.
 *
 * @throws TypeError for a wrong URL, and for an option that is unknown or wrong.
 * @throws ClientError
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
 * Does `work` until it succeeds, or fails with an error that is not transient, or has failed as often
 * as `retries` allows. Then ends the connection.
 *
 * @throws ClientError
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
