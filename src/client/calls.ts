/** Calls that are one request, again if need be. */
import { connect, type Connection } from './exchange.ts'
import type { RequestOptions } from './options.ts'
import { createRetry } from './retry.ts'
import type { Platform } from './transport/transport.ts'

/**
 * Does `work` again until it succeeds or fails for good.
 *
 * @throws TypeError for a wrong URL or option.
 * @throws ClientError
 */
export async function call<T>(
  url: string | URL,
  options: RequestOptions,
  platform: Platform,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = connect(url, options, platform)
  const { signal } = connection
  const retry = createRetry(connection)
  for (;;) {
    signal.throwIfAborted()
    try {
      return await work(connection)
    } catch (error) {
      signal.throwIfAborted()
      await retry.wait(error, signal)
    }
  }
}
