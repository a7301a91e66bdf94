/**
 * Adds `Repr-Digest` to an answer if the client asks for it with `Want-Repr-Digest` (RFC 9530 §4).
 * A client compares it with the digest of its own file, to learn whether the server has the same
 * bytes.
 */
import { formatDigest, parseDigest, wantedAlgorithm } from '../../fields/digest.ts'
import type { HandlerRequest, HandlerResponse } from '../http.ts'
import type { HashingService } from '../hashing.ts'
import type { Reader, ResourceInfo } from '../../storage/adapter.ts'
import type { MethodContext } from './context.ts'
import type { Fields } from './respond.ts'

/**
 * Returns the `Repr-Digest` of the version that `reader` has open. For an incomplete resource the
 * digest covers the stored bytes.
 *
 * Returns no field if the client does not ask for one, if too many digests are being computed, or
 * if the version can't be read to its end. The field is only a wish, so that none of these fails
 * the request, and a missing digest does no harm, because the client can ask again.
 */
export async function reprDigestFields(
  { headers, closeSignal }: Pick<HandlerRequest, 'headers' | 'closeSignal'>,
  reader: Reader,
  hashing: HashingService,
): Promise<Fields> {
  const { info } = reader
  const algorithm = wantedAlgorithm(headers.get('want-repr-digest'))
  if (algorithm === null) return {}
  const stored = info.complete ? info.reprDigest : null
  if (stored !== null && names(stored, algorithm)) return { 'Repr-Digest': stored }
  const { size } = info
  try {
    const options = { size, algorithms: [algorithm], signal: closeSignal() }
    const [computed] = await hashing.digest(reader.read(0, size), options)
    if (computed === undefined) return {}
    const digest = formatDigest(computed)
    return { 'Repr-Digest': stored === null ? digest : `${stored}, ${digest}` }
  } catch {
    return {}
  }
}

/**
 * Returns the answer to a write with the `Repr-Digest` of the finished version that the write has
 * made. An answer with content stays as it is, because there the field would describe that content
 * (RFC 9530 §3).
 */
export async function withReprDigest(
  response: HandlerResponse,
  info: ResourceInfo,
  request: HandlerRequest,
  { storage, hashing }: MethodContext,
): Promise<HandlerResponse> {
  const hasContent = response.body !== undefined && response.body !== ''
  if (!info.complete || hasContent || 'Repr-Digest' in response.headers) return response
  if (wantedAlgorithm(request.headers.get('want-repr-digest')) === null) return response
  const reader = await storage.openReader(request.key).catch(() => null)
  if (reader === null) return response
  try {
    // The lock has been released already, so that another request may have changed the resource
    // since.
    if (reader.info.etag !== info.etag) return response
    const fields = await reprDigestFields(request, reader, hashing)
    return { ...response, headers: { ...response.headers, ...fields } }
  } finally {
    await reader.close()
  }
}

/** Whether a digest field has a digest of the algorithm. */
function names(field: string, algorithm: string): boolean {
  return parseDigest(field).some((digest) => digest.algorithm === algorithm)
}
