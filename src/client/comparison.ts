/** Compares the stored bytes of a resource with a source, by their digest or byte by byte. */
import { responseError } from './answer.ts'
import { abortable } from './clock.ts'
import type { SourceHash } from './digest.ts'
import { exchange, type Connection } from './exchange.ts'
import { find, WANT_DIGEST, type Found } from './resource.ts'
import { readRange, type ByteSource } from './source/byte-source.ts'
import { MAX_ANSWER } from './transport/transport.ts'

/**
 * Number of bytes to read back with one request. A transport keeps at least `MAX_ANSWER` of an
 * answer.
 */
const RANGE_SIZE = MAX_ANSWER / 2
/**
 * Longest stored prefix that is read back if the server gives no digest of it, in bytes. Beyond it
 * the download would take longer than the user of an upload expects.
 */
const MAX_READ_BACK = 64 * 1024 * 1024

/**
 * Whether all stored bytes are the first bytes of a source. The caller has compared the sizes, as
 * far as both are known. Compares SHA-256 digests, and asks the server for one if its answer has
 * none. If the server gives no digest, reads up to 64 MiB back.
 *
 * Null if neither is possible: the server shows neither a digest nor the bytes, or there are more
 * bytes, or the source is a stream, which can't be read again.
 *
 * @throws ClientError for a failed request, and `ERR_SOURCE` if the source can't be read.
 */
export async function hasSameBytes(
  connection: Connection,
  found: Found,
  source: ByteSource,
  hash: SourceHash,
): Promise<boolean | null> {
  const { signal } = connection
  const { size, complete, etag } = found
  // The digest in the answer about an incomplete resource may be that of the finished resource,
  // which the client has declared at the start. Only a digest that was asked for covers the stored
  // bytes.
  const digest = (complete && found.digest) || (await askForDigest(connection, found))
  if (digest !== null) {
    const own = await abortable(hash.prefix(size, signal), signal)
    if (own !== null) return own === digest && (!complete || source.size === size)
  }
  if (size > MAX_READ_BACK || source.once) return null
  return hasSameRange(connection, etag, source, size)
}

/**
 * Asks for the digest of this version; null if the server gives none, or has another version by
 * now.
 */
async function askForDigest(connection: Connection, { etag, size }: Found): Promise<string | null> {
  const found = await find(connection, WANT_DIGEST)
  return found?.etag === etag && found.size === size ? found.digest : null
}

/**
 * Compares the first `length` bytes of a source with the stored bytes from `offset` on. Null if the
 * server does not let the client read them. Holds 512 KiB of each in memory at a time.
 *
 * @throws ClientError for a failed request, and `ERR_SOURCE` if the source can't be read.
 */
export async function hasSameRange(
  connection: Connection,
  etag: string | null,
  source: Pick<ByteSource, 'slice'>,
  length: number,
  offset: number = 0,
): Promise<boolean | null> {
  const { signal } = connection
  for (let start = 0; start < length; start += RANGE_SIZE) {
    const end = Math.min(start + RANGE_SIZE, length)
    const headers = { Range: `bytes=${offset + start}-${offset + end - 1}`, 'If-Match': etag }
    const response = await exchange(connection, { method: 'GET', headers })
    // A server may ignore `Range` and answer with the whole resource (RFC 9110 §14.2). Its first
    // bytes are those of the range only if the range begins at 0 and is the only one.
    const isWhole = response.status === 200 && offset === 0 && end - start === length
    if (response.status !== 206 && !isWhole) {
      // 412 means that another client has changed the resource since `HEAD`. A retry compares
      // again.
      const error = await responseError('GET', response, [412])
      if (error.transient) throw error
      return null
    }
    const stored = new Uint8Array(await response.arrayBuffer())
    const own = await abortable(readRange(source, start, end), signal)
    if (!isEqual(stored, own)) return false
  }
  return true
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.byteLength === other.byteLength && one.every((byte, index) => byte === other[index])
}
