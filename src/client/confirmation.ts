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
  const isPortal = isPage(response) || (found?.etag === null && isPage(found.response))
  if (found?.complete !== true && !isPortal) {
    throw new ClientError('ERR_RESPONSE', 'still incomplete', { response, transient: true })
  }
  const tag = strongTag(response.headers)
  const isAcknowledged = isProven && !isPortal
  if (found?.complete === true) {
    const hasSize = found.size === source.size
    if (hasSize && isAcknowledged && tag !== null && tag === found.etag) return
    const isSame = hasSize && (await hasSameBytes(connection, found, source, hash))
    // Some servers have no entity tags, or hide them: one that stores what it acknowledges has this length.
    const isPlain = tag === null || found.etag === null
    if (isSame ?? (isAcknowledged && isPlain)) return
    if (!isPortal) throw mismatch(found, isSame)
  }
  throw pageError(method, response)
}

/** The URL holds another file, or with `null` one that nothing proves to be the source. */
export function mismatch({ size, response }: Found, isSame: boolean | null): ClientError {
  const what = isSame === null ? 'an unknown file, without a digest' : 'a different file'
  const code = isSame === null ? 'ERR_UNVERIFIED' : 'ERR_DIFFERENT'
  return new ClientError(code, `the URL holds ${size} bytes of ${what}`, { response })
}
