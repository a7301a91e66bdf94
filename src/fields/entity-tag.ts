/**
 * Parses lists of entity tags, as in `If-Match`, and compares their members with the tag of a
 * version (RFC 9110 §8.8.3.2).
 */

// One element of a list, which may be empty. A list can't be split at commas, because an opaque-tag
// may have some.
const ELEMENT = /[ \t]*(?:(W\/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?=,|$)/y

/**
 * Returns whether the field lists `etag` by strong comparison: equal, and neither of the two is
 * weak. Malformed elements match nothing, so that a broken `If-Match` refuses a write. The caller
 * handles `*`.
 */
export function matchesStrongly(field: string, etag: string): boolean {
  return !etag.startsWith('W/') && parseList(field).some((tag) => !tag.weak && tag.opaque === etag)
}

/**
 * Returns whether the field lists `etag` by weak comparison, which ignores `W/`. Malformed elements
 * match nothing.
 */
export function matchesWeakly(field: string, etag: string): boolean {
  const opaque = etag.startsWith('W/') ? etag.slice(2) : etag
  return parseList(field).some((tag) => tag.opaque === opaque)
}

/** A tag: `"a"` is strong, `W/"a"` is weak. */
interface EntityTag {
  readonly weak: boolean
  /** The tag with its quotation marks, without `W/`. */
  readonly opaque: string
}

/** Returns the valid tags of a list. Text that is not a tag is skipped up to the next comma. */
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
