/** Calls that are one request, again if need be. */
import { connect, type Connection } from './exchange.ts'
import type { RequestOptions } from './options.ts'
import { createRetry } from './retry.ts'
import type { Call } from './settings.ts'
import type { Platform } from './transport/transport.ts'

/**
 * Does `work` again until it succeeds or fails for good.
 *
 * @throws TypeError for a wrong URL, and for an option that is unknown or wrong.
 * @throws ClientError
 */
export async function call<T>(
  url: string | URL,
  options: RequestOptions,
  platform: Platform,
  work: (connection: Connection) => Promise<T>,
  kind: Call = 'request',
): Promise<T> {
  const connection = connect(url, options, platform, kind)
  try {
    return await repeat(connection, work)
  } finally {
    connection.release()
  }
}

async function repeat<T>(
  connection: Connection,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const { signal } = connection
  const retry = createRetry(connection)
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
}
