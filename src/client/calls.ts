/** Calls that are one request, again if need be. Loaded only when they are made. */
import { connect } from './exchange.ts'
import { resolveOptions, type RequestOptions, type RequestSettings } from './options.ts'
import { askStatus, removeResource, type ResourceStatus } from './resource.ts'
import { pause, Retry } from './retry.ts'
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
  const connection = connect(url, resolveOptions(options), platform)
  const { signal = new AbortController().signal } = options
  const { status } = await retrying(connection.settings, signal, async () =>
    askStatus(connection, signal),
  )
  return status
}

/**
 * Removes what is there.
 *
 * @throws ClientError
 */
export async function removeAt(
  url: string | URL,
  options: RequestOptions,
  platform: Platform,
): Promise<void> {
  const connection = connect(url, resolveOptions(options), platform)
  const { signal = new AbortController().signal } = options
  await retrying(connection.settings, signal, async () => removeResource(connection, null, signal))
}

/** Does `work` again until it succeeds or fails for good. */
export async function retrying<T>(
  settings: RequestSettings,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const retry = new Retry(settings)
  for (;;) {
    try {
      return await work()
    } catch (error) {
      signal.throwIfAborted()
      await pause(retry.next(error), settings, signal)
    }
  }
}
