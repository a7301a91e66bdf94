/** Whether what a server holds is what a source has: by digests, or byte by byte. */
import { abortable } from './clock.ts'
import type { SourceHash } from './digest.ts'
import { responseError } from './error.ts'
import { exchange, type Connection } from './exchange.ts'
import { find, WANT_DIGEST, type Found } from './resource.ts'
import { readRange, type ByteSource } from './source/byte-source.ts'
import { MAX_ANSWER } from './transport/transport.ts'

/** Bytes that are compared with one request: an answer must fit into what is kept of one. */
const COMPARED = MAX_ANSWER / 2
/** Bytes that are read back at most where the server gives no digest. */
const READ_BACK = 64 * 1024 * 1024

/**
 * Whether the stored bytes, all that there are, are the first bytes of a source; null if the server
 * does not let it be known. Asks for the digest where the server has not given it, and where it gives
 * none reads back what is there, up to 64 MiB.
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
  // What an incomplete resource carries unasked may be the digest of the whole to come.
  const known = complete ? found.digest : null
  const digest = known ?? (await askForDigest(connection, found))
  if (digest !== null) {
    const own = await abortable(hash.prefix(source, size, signal), signal)
    if (own !== null) return own === digest && (!complete || source.size === size)
  }
  if (size > READ_BACK || source.once) return null
  return hasSameRange(connection, etag, source, size)
}

/** The digest of the version that was found; null if the server gives none, or has another version. */
async function askForDigest(connection: Connection, { etag, size }: Found): Promise<string | null> {
  const found = await find(connection, WANT_DIGEST)
  return found?.etag === etag && found.size === size ? found.digest : null
}

/**
 * Compares all bytes of a source of `length` bytes with what is there from `offset`; null if the server
 * does not let them be compared. What is compared at a time is held in memory.
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
  for (let start = 0; start < length; start += COMPARED) {
    const end = Math.min(start + COMPARED, length)
    const headers = { Range: `bytes=${offset + start}-${offset + end - 1}`, 'If-Match': etag }
    const response = await exchange(connection, { method: 'GET', headers })
    // A server may ignore `Range`.
    const isWhole = response.status === 200 && offset === 0 && end - start === length
    if (response.status !== 206 && !isWhole) {
      // 412: the resource changes meanwhile.
      const error = await responseError('GET', response, [412])
      return error.transient ? Promise.reject(error) : null
    }
    const there = new Uint8Array(await response.arrayBuffer())
    const here = await abortable(readRange(source, start, end), signal)
    if (!isEqual(there, here)) return false
  }
  return true
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.byteLength === other.byteLength && one.every((byte, index) => byte === other[index])
}
