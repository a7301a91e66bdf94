/** Builds the request that carries a segment of a source, or the whole source. */
import { digestContent } from './digest.ts'
import { formatDisposition } from './disposition.ts'
import type { Connection } from './exchange.ts'
import { contentRange, encodeHeader, type Fields } from './message.ts'
import type { UploadOptions } from './options.ts'
import { WANT_DIGEST } from './resource.ts'
import type { ByteSource } from './source/byte-source.ts'
import { contentSize, type BlobLike } from './transport/transport.ts'

/** The bytes of one request, and what they are sent with. */
export interface Segment {
  /** Position of the first byte in the source. */
  readonly start: number
  /** The bytes. */
  readonly data: BlobLike
  /**
   * Entity tag of the version that the segment continues or replaces; an empty string if that
   * version has no tag. Null if the segment creates the resource, which must not exist then.
   */
  readonly before: string | null
  /** Whether the segment is the whole source, to be sent with `PUT`. */
  readonly isPut: boolean
  /** Whether to send the media type, the name and the modification date of the source. */
  readonly isLabelled: boolean
  /** Digest of the whole source, which the server verifies; null to send none. */
  readonly digest: string | null
}

/** A request for `exchange`. */
export interface SegmentMessage {
  readonly method: string
  readonly headers: Fields
  readonly body: readonly BlobLike[]
  /** Number of bytes of the content before the bytes of the segment. */
  readonly headerSize: number
}

/**
 * Builds the request: a `PATCH` with a `message/byteranges` document, or a `PUT`. The fields about
 * the resource are part of the document in a `PATCH`, because those of the request describe the
 * document.
 *
 * @throws ClientError `ERR_SOURCE` if the bytes have to be read for a digest and can't be.
 */
export async function encodeSegment(
  { createHash }: Connection,
  { start, data, before, isPut, isLabelled, digest }: Segment,
  source: ByteSource,
  { contentType, contentDigest }: UploadOptions,
): Promise<SegmentMessage> {
  const about = {
    'Content-Type': isLabelled ? (contentType ?? source.type) : null,
    'Content-Disposition': isLabelled ? formatDisposition(source) : null,
    'Repr-Digest': digest,
  }
  const range = contentRange(start, data.size, source.size)
  const head = isPut ? [] : [encodeHeader({ 'Content-Range': range, ...about })]
  const body = [...head, data]
  const headers = {
    ...(isPut ? about : { 'Content-Type': 'message/byteranges' }),
    ...(digest !== null && WANT_DIGEST),
    // Without the precondition two clients that create or continue the same resource could mix
    // their bytes. An empty string stands for a version without a tag, and fields without a value
    // are not sent.
    [before === null ? 'If-None-Match' : 'If-Match']: before ?? '*',
    'Content-Digest': contentDigest ? await digestContent(createHash(), body) : null,
  }
  return { method: isPut ? 'PUT' : 'PATCH', headers, body, headerSize: contentSize(head) }
}
