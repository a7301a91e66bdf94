/** Whether the answer to the last segment means that the server holds the source. */
import { hasSameBytes } from './comparison.ts'
import type { SourceHash } from './digest.ts'
import { ClientError } from './error.ts'
import type { Connection } from './exchange.ts'
import { isPage, pageError, strongTag, type Found } from './resource.ts'
import type { ByteSource } from './source/byte-source.ts'

/** The answer to the last segment. */
export interface FinalAnswer {
  readonly method: string
  readonly response: Response
  /** Whether all bytes before were acknowledged to this client, without a gap. */
  readonly isProven: boolean
}

/**
 * Whether an answer is one of a final kind, and from an upload server: those have a strong entity tag.
 * 202 and 299 do not say that the resource is complete, but an app may have chosen them for that.
 */
export function isFinal(response: Response): boolean {
  const { status } = response
  return strongTag(response.headers) !== null && !isPage(response) && status !== 202 && status < 209
}

/**
 * Compares what `HEAD` has found with the source. Returns if the resource is complete and the source.
 *
 * @throws ClientError
 */
export async function confirm(
  connection: Connection,
  { method, response, isProven }: FinalAnswer,
  found: Found | null,
  source: ByteSource,
  hash: SourceHash,
): Promise<void> {
  const isPortal =
    isPage(response) || (found !== null && found.etag === null && isPage(found.response))
  if (found?.complete !== true) {
    if (isPage(response)) throw pageError(method, response)
    throw new ClientError('ERR_RESPONSE', 'still incomplete', { response, transient: true })
  }
  if (found.size !== source.size) {
    if (isPortal) throw pageError(method, response)
    throw different(found)
  }
  const tag = strongTag(response.headers)
  if (isProven && !isPortal && tag !== null && tag === found.etag) return
  const isSame = await hasSameBytes(connection, found, source, hash)
  if (isSame === false) throw isPortal ? pageError(method, response) : different(found)
  // Some servers have no entity tags, or hide them: one that stores what it acknowledges has this length.
  const isPlain = tag === null || found.etag === null
  if (isSame === true || (isProven && isPlain && !isPortal)) return
  throw isPortal ? pageError(method, response) : unverified(found)
}

/** The URL holds another file. */
export function different({ size, response }: Found): ClientError {
  const message = `the URL holds ${size} bytes of a different file`
  return new ClientError('ERR_DIFFERENT', message, { response })
}

/** The URL holds a file of the right size, and nothing proves that it is the source. */
export function unverified({ size, response }: Found): ClientError {
  const message = `the URL holds ${size} bytes of an unknown file, without a digest`
  return new ClientError('ERR_UNVERIFIED', message, { response })
}
