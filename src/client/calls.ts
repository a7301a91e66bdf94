/** Calls that are one request, again if need be. */
import { connect, type Connection } from './exchange.ts'
import type { RequestOptions } from './options.ts'
import { find, removeResource, type ResourceStatus } from './resource.ts'
import { createRetry } from './retry.ts'
import type { Platform } from './transport.ts'

/**
 * Asks what is there; null if nothing is.
 *
 * @throws ClientError
 */
export async function getStatus(
  url: string | URL,
  options: RequestOptions,
  platform: Platform,
): Promise<ResourceStatus | null> {
  const connection = connect(url, options, platform)
  const found = await retrying(connection, async () => find(connection))
  if (found === null) return null
  const { response: _response, ...status } = found
  return status
}

/**
 * Removes what is there; false if nothing is.
 *
 * @throws ClientError
 */
export async function removeAt(
  url: string | URL,
  options: RequestOptions,
  platform: Platform,
): Promise<boolean> {
  const connection = connect(url, options, platform)
  return retrying(connection, async () => removeResource(connection, null))
}

/** Does `work` again until it succeeds or fails for good. */
export async function retrying<T>(connection: Connection, work: () => Promise<T>): Promise<T> {
  const retry = createRetry(connection)
  for (;;) {
    connection.signal.throwIfAborted()
    try {
      return await work()
    } catch (error) {
      connection.signal.throwIfAborted()
      await retry.wait(error, connection.signal)
    }
  }
}
