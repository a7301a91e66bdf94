/** Parses lists of entity tags, as in `If-Match`, and compares their members with a tag (RFC 9110 §8.8.3.2). */

// An opaque-tag may hold a comma, so a list can't be split at commas.
const ELEMENT = /[ \t]*(?:(W\/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?=,|$)/y

/**
 * Returns whether the field lists the tag under strong comparison. A weak tag on either side and
 * malformed elements match nothing. The caller handles `*`.
 */
export function matchesStrongly(field: string, etag: string): boolean {
  return !etag.startsWith('W/') && parseList(field).some((tag) => !tag.weak && tag.opaque === etag)
}

/** Returns whether the field lists the tag under weak comparison. Malformed elements match nothing. */
export function matchesWeakly(field: string, etag: string): boolean {
  const opaque = etag.startsWith('W/') ? etag.slice(2) : etag
  return parseList(field).some((tag) => tag.opaque === opaque)
}

interface EntityTag {
  readonly weak: boolean
  readonly opaque: string
}

function parseList(field: string): readonly EntityTag[] {
  const tags: EntityTag[] = []
  for (let at = 0; at <= field.length; at++) {
    ELEMENT.lastIndex = at
    const element = ELEMENT.exec(field)
    if (element?.[2] !== undefined) tags.push({ weak: element[1] === 'W/', opaque: element[2] })
    at = element ? ELEMENT.lastIndex : endOfElement(field, at)
  }
  return tags
}

function endOfElement(field: string, from: number): number {
  const comma = field.indexOf(',', from)
  return comma === -1 ? field.length : comma
}
