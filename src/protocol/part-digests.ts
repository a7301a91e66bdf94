/**
 * Compares the data of each part with the `Content-Digest` in the header of that part (RFC 9530
 * §2). It wraps the parser, because only there the data of the parts is separated in every format.
 */
import { UploadError } from '../errors.ts'
import { parseDigest } from '../fields/digest.ts'
import type { Part, PartEvent, PartParser } from '../media/part.ts'
import { inPart } from '../media/part-length.ts'
import { createDigestCheck, type DigestCheck } from './digest-check.ts'

/**
 * Returns a parser that yields the events of `parser`, and hashes their data. At the end of a part
 * whose data does not match its digest it throws `ERR_CONTENT_DIGEST`. A patch with such a part is
 * atomic, so that nothing of it is kept.
 */
export function withPartDigests(parser: PartParser): PartParser {
  // The part whose data is being hashed; null if it has no digest that can be verified.
  let current: { readonly part: Part; readonly check: DigestCheck } | null = null

  /** Compares the digests of the current part, at the next part or the end of the document. */
  function endPart(): void {
    const wrong = current?.check.mismatch() ?? null
    if (current === null || wrong === null) return
    const detail = `the ${wrong} of the data differs from its Content-Digest`
    throw new UploadError('ERR_CONTENT_DIGEST', { detail: inPart(current.part.index, detail) })
  }

  /** Hashes the data of the events, and returns them unchanged. */
  function take(events: readonly PartEvent[]): readonly PartEvent[] {
    for (const event of events) {
      if (event.type === 'data') current?.check.update(event.bytes)
      else {
        endPart()
        const { part } = event
        const digests = part.contentDigest === null ? [] : parseDigest(part.contentDigest)
        current = digests.length === 0 ? null : { part, check: createDigestCheck(digests) }
      }
    }
    return events
  }

  return {
    write: (chunk) => take(parser.write(chunk)),
    end: () => {
      const events = take(parser.end())
      endPart()
      current = null
      return events
    },
  }
}
