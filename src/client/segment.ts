/** The request that carries a segment of a source, or all of it. */
import { digestContent } from './digest.ts'
import { formatDisposition } from './disposition.ts'
import type { Connection } from './exchange.ts'
import { contentRange, encodeHeader, type Fields } from './message.ts'
import type { UploadOptions } from './options.ts'
import { WANT_DIGEST } from './resource.ts'
import type { ByteSource } from './source/byte-source.ts'
import { contentSize, type BlobLike } from './transport/transport.ts'

/** The content of one request, and its precondition. */
export interface Segment {
  /** Position of the first byte. */
  readonly start: number
  readonly data: BlobLike
  /** Tag of the version that it continues or replaces, '' without one; null if none may exist. */
  readonly before: string | null
  /** Whether it is the whole source, sent with `PUT`. */
  readonly isPut: boolean
  /** Whether the resource gets the media type, name and date of the source. */
  readonly isLabelled: boolean
  /** Digest of the whole source, which the server verifies; null to send none. */
  readonly digest: string | null
}

/** A request for `exchange`. */
export interface SegmentMessage {
  readonly method: string
  readonly headers: Fields
  readonly body: readonly BlobLike[]
  /** Number of content bytes before the data. */
  readonly headerSize: number
}

/** Builds the request. */
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
    [before === null ? 'If-None-Match' : 'If-Match']: before ?? '*',
    'Content-Digest': contentDigest ? await digestContent(createHash(), body) : null,
  }
  return { method: isPut ? 'PUT' : 'PATCH', headers, body, headerSize: contentSize(head) }
}
