/** Whether the server holds the source after an answer that does not prove it alone. */
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
  /** Whether all bytes were acknowledged to this call, without a gap. */
  readonly isProven: boolean
}

/**
 * Compares the resource that `HEAD` has found with the source. Returns the answer if the resource is
 * finished and holds the source: its version is the one that the last request has made, or its digest or its bytes
 * are those of the source.
 *
 * @throws ClientError
 */
export async function confirm(
  connection: Connection,
  { response, isProven }: FinalAnswer,
  found: Found | null,
  source: ByteSource,
  hash: SourceHash,
): Promise<Response> {
  if (!found?.complete) {
    const transient = !isPage(response)
    const flaw = ', but the upload is not complete'
    throw answerError('the last segment', response, flaw, { transient })
  }
  const tag = madeVersion(response)
  const hasSize = found.size === source.size
  if (hasSize && isProven && tag !== null && tag === found.etag) return response
  const isSame = hasSize && (await hasSameBytes(connection, found, source, hash))
  // Some servers have no entity tags, or hide them from other origins: one that has acknowledged all
  // bytes and now reports their number is believed.
  const isUntagged = tag === null || found.etag === null
  if (!(isSame ?? (isProven && isUntagged))) throw mismatch(found, isSame)
  return response
}

/** Makes the error for a URL that holds another file, or with `null` one that can't be compared. */
export function mismatch({ size, etag, response }: Found, isSame: boolean | null): ClientError {
  if (etag === null && isPage(response)) return pageError('HEAD', response)
  const what = isSame === null ? 'a file that can not be compared' : 'a different file'
  const code = isSame === null ? 'ERR_UNVERIFIED' : 'ERR_DIFFERENT'
  return new ClientError(code, `the URL holds ${size} bytes of ${what}`, { response })
}
