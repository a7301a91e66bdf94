/**
 * Decides whether the server holds the source, after an answer that does not prove it alone.
 *
 * A success to the last segment may come from a proxy, from an app that answers every URL with a
 * page, or from a server whose answers lack an entity tag. The client then asks for the resource
 * with `HEAD`.
 */
import { answerError, isPage, madeVersion, pageError } from './answer.ts'
import { hasSameBytes } from './comparison.ts'
import type { SourceHash } from './digest.ts'
import { ClientError } from './error.ts'
import type { Connection } from './exchange.ts'
import type { Found } from './resource.ts'
import type { ByteSource } from './source/byte-source.ts'

/** The answer to the last segment. */
export interface FinalAnswer {
  readonly response: Response
  /**
   * Whether the server has acknowledged all bytes to this call, each request to the version that
   * the request before has made.
   */
  readonly isProven: boolean
}

/**
 * Compares the resource that `HEAD` has found with the source. Returns the answer to the last
 * segment if the resource is finished and holds the source. That is so if the resource still is the
 * version that the last segment has made, or if its digest or all of its bytes are those of the
 * source.
 *
 * @throws ClientError `ERR_RESPONSE` if the resource is incomplete or does not exist,
 * `ERR_DIFFERENT` if it has other bytes, and `ERR_UNVERIFIED` if the server does not let the client
 * compare them.
 */
export async function confirm(
  connection: Connection,
  { response, isProven }: FinalAnswer,
  found: Found | null,
  source: ByteSource,
  hash: SourceHash,
): Promise<Response> {
  if (!found?.complete) {
    // A retry asks again and resends what is missing. A server that answers with web pages does not
    // store uploads, so that a retry would have the same result.
    const transient = !isPage(response)
    const flaw = ', but the upload is not complete'
    throw answerError('the last segment', response, flaw, { transient })
  }
  const tag = madeVersion(response)
  const hasSize = found.size === source.size
  if (hasSize && isProven && tag !== null && tag === found.etag) return response
  const isSame = hasSize && (await hasSameBytes(connection, found, source, hash))
  // Some servers have no entity tags, or hide them from pages of other origins (CORS). If such a
  // server has acknowledged all bytes, and now reports a finished resource of that size, this is
  // accepted. Without it no upload to such a server could ever succeed.
  const isUntagged = tag === null || found.etag === null
  if (!(isSame ?? (isProven && isUntagged))) throw mismatch(found, isSame)
  return response
}

/**
 * Makes the error for a URL with a different file (`isSame` is false), or with a file that the
 * server does not let the client compare (null).
 */
export function mismatch({ size, etag, response }: Found, isSame: boolean | null): ClientError {
  if (etag === null && isPage(response)) return pageError('HEAD', response)
  const what = isSame === null ? 'a file that can not be compared' : 'a different file'
  const code = isSame === null ? 'ERR_UNVERIFIED' : 'ERR_DIFFERENT'
  return new ClientError(code, `the URL holds ${size} bytes of ${what}`, { response })
}
