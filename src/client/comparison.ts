/** Whether a server holds the bytes of a source: compared by their digest, or byte by byte. */
import { responseError } from './answer.ts'
import { abortable } from './clock.ts'
import type { SourceHash } from './digest.ts'
import { exchange, type Connection } from './exchange.ts'
import { find, WANT_DIGEST, type Found } from './resource.ts'
import { readRange, type ByteSource } from './source/byte-source.ts'
import { MAX_ANSWER } from './transport/transport.ts'

/** Number of bytes that are compared with one request: transports keep no longer answer than this. */
const RANGE_SIZE = MAX_ANSWER / 2
/** Number of bytes up to which a resource is read back where the server gives no digest. */
const MAX_READ_BACK = 64 * 1024 * 1024

/**
 * Whether all stored bytes are the first bytes of a source; null if the server does not let the client
 * find out. Compares digests, asks the server for one if its answer has none, and reads up to 64 MiB
 * back if the server gives none.
 *
 * @throws ClientError
 */
export async function hasSameBytes(
  connection: Connection,
  found: Found,
  source: ByteSource,
  hash: SourceHash,
): Promise<boolean | null> {
  const { signal } = connection
  const { size, complete, etag } = found
  // The digest in an answer about an incomplete resource may be the declared one of the finished resource.
  const digest = (complete && found.digest) || (await askForDigest(connection, found))
  if (digest !== null) {
    const own = await abortable(hash.prefix(size, signal), signal)
    if (own !== null) return own === digest && (!complete || source.size === size)
  }
  if (size > MAX_READ_BACK || source.once) return null
  return hasSameRange(connection, etag, source, size)
}

/** The digest of this version; null if the server gives none, or has another version by now. */
async function askForDigest(connection: Connection, { etag, size }: Found): Promise<string | null> {
  const found = await find(connection, WANT_DIGEST)
  return found?.etag === etag && found.size === size ? found.digest : null
}

/**
 * Compares all bytes of a source of `length` bytes with those that are stored from `offset` on; null if
 * the server does not let them be read. Holds 512 KiB of each in memory.
 *
 * @throws ClientError
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
    // A server may ignore `Range`.
    const isWhole = response.status === 200 && offset === 0 && end - start === length
    if (response.status !== 206 && !isWhole) {
      // 412: another client changes the resource meanwhile.
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
