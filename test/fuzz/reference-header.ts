/**
 * Reads the header of a part, as a second implementation of the RFCs that searches whole texts with
 * large patterns. It is slow, and the fuzz targets compare the parsers with it.
 */

/** A part as the reference reads it. */
export interface ReferencePart {
  /**
   * First position and the one past the last; null for a part that gives only a length or an
   * offset.
   */
  readonly range: readonly [start: number, end: number] | null
  /** Position at which a part without a range begins; null if it gives only a length. */
  readonly offset: number | null
  /** Whether the length of the part is known only at its end. */
  readonly isOpen: boolean
  readonly completeLength: number | null
  readonly contentType: string | null
  readonly contentDigest: string | null
  readonly reprDigest: string | null
}

type FieldLine = readonly [name: string, value: string]

interface Limits {
  readonly maxPartHeaderSize: number
  readonly maxSize: number
}

interface Position {
  readonly range: readonly [start: bigint, end: bigint] | null
  readonly completeLength: bigint | null
}

interface Placement extends Position {
  readonly offset: bigint | null
  readonly isOpen: boolean
}

const MAX_FIELDS = 64
const MAX_CONTENT_TYPE = 255
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)

const TCHAR = "[!#$%&'*+.^_`|~0-9A-Za-z-]"
const QUOTED = '"(?:[^"\\\\\\0-\\x08\\x0a-\\x1f\\x7f]|\\\\[^\\0-\\x08\\x0a-\\x1f\\x7f])*"'
const PARAMETER = `(${TCHAR}+)=(${TCHAR}+|${QUOTED})`
const MEDIA_TYPE = new RegExp(
  `^[ \\t]*(${TCHAR}+/${TCHAR}+)((?:[ \\t]*;[ \\t]*(?:${PARAMETER})?)*)[ \\t]*$`,
)
const TOKEN = new RegExp(`^${TCHAR}+$`)

/** Reads a header block, whose last line end is part of it; null if the server has to refuse it. */
export function referenceHeader(block: string, limits: Limits): ReferencePart | null {
  if (block.length > limits.maxPartHeaderSize) return null
  if (/\0|\r(?!\n)|(?<!\r)\n/.test(block)) return null
  const fields = referenceFields(block)
  return fields && referencePart(fields, limits)
}

/** Reads the fields of a part; null if the server has to refuse them. */
export function referencePart(lines: readonly FieldLine[], limits: Limits): ReferencePart | null {
  if (lines.length > MAX_FIELDS || !lines.every(([name]) => TOKEN.test(name))) return null
  const all = (name: string) =>
    lines.filter((line) => line[0].toLowerCase() === name).map(([, value]) => trim(value))
  const first = (name: string) => all(name)[0] ?? null
  if (first('transfer-encoding') !== null) return null
  const codings = all('content-encoding').flatMap((value) => value.split(','))
  if (codings.some((coding) => !['', 'identity'].includes(trim(coding).toLowerCase()))) return null

  const lengths = all('content-length')
  if (!lengths.every((value) => /^[0-9]+$/.test(value) && BigInt(value) === BigInt(lengths[0]!))) {
    return null
  }
  const length = lengths[0] === undefined ? null : BigInt(lengths[0])
  const position =
    all('content-offset').length === 0
      ? placedByRange(referencePosition(all('content-range'), all('range')), length)
      : placedByOffset(all('content-offset'), length)
  if (all('content-offset').length > 0 && (first('content-range') ?? first('range')) !== null) {
    return null
  }
  if (position === null || size(position) > BigInt(limits.maxSize)) return null
  const { range, offset, isOpen, completeLength } = position
  const types = all('content-type')
  if (!types.every((value) => isStorableType(value) && isSame(value, types[0]!))) return null
  const [contentDigest, reprDigest] = ['content-digest', 'repr-digest'].map((name) =>
    all(name).length === 0 ? null : all(name).join(', '),
  )
  for (const field of [contentDigest, reprDigest]) {
    if (typeof field === 'string' && referenceDigest(field) === null) return null
  }
  return {
    range: range && [Number(range[0]), Number(range[1])],
    offset: offset === null ? null : Number(offset),
    isOpen,
    completeLength: completeLength === null ? null : Number(completeLength),
    contentType: types[0] ?? null,
    contentDigest: contentDigest ?? null,
    reprDigest: reprDigest === undefined || reprDigest === null ? null : known(reprDigest),
  }
}

/**
 * The digests of a valid field whose algorithms are known, in their canonical form; null if none.
 */
function known(field: string): string | null {
  const digests = [...(referenceDigest(field) ?? [])]
    .filter(([key]) => key === 'sha-256' || key === 'sha-512')
    .map(([key, base64]) => `${key}=:${Buffer.from(base64, 'base64').toString('base64')}:`)
  return digests.length === 0 ? null : digests.join(', ')
}

/** Type and parameters in a form that is equal for equal types; null if it is malformed. */
export function referenceMediaType(value: string): string | null {
  const match = MEDIA_TYPE.exec(value)
  if (!match) return null
  const parameters = [...match[2]!.matchAll(new RegExp(PARAMETER, 'g'))].map(
    ([, name = '', text = '']) => [name.toLowerCase(), unquoted(text)] as const,
  )
  if (new Set(parameters.map(([name]) => name)).size < parameters.length) return null
  const sorted = parameters.sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([match[1]!.toLowerCase(), sorted])
}

/** The digests by algorithm, in base64; null if the field is malformed. */
export function referenceDigest(field: string): ReadonlyMap<string, string> | null {
  const member =
    /([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]*={0,2}):((?:; *[a-z*][a-z0-9_.*-]*(?:=(?:-?[0-9]{1,15}(?:\.[0-9]{1,3})?|"(?:[ !#-[\]-~]|\\["\\])*"|[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*|:[A-Za-z0-9+/=]*:|\?[01]))?)*)/
  const text = trim(field)
  if (text === '') return new Map()
  const list = new RegExp(`^${member.source}(?:[ \\t]*,[ \\t]*${member.source})*$`)
  if (!list.test(text)) return null
  const digests = new Map<string, string>()
  for (const [, key = '', base64 = ''] of text.matchAll(new RegExp(member, 'g'))) {
    digests.set(key, base64)
  }
  for (const [key, base64] of digests) {
    const bytes = decoded(base64)
    const expected = { 'sha-256': 32, 'sha-512': 64 }[key] ?? bytes
    if (bytes === null || bytes !== expected) return null
  }
  return digests
}

/**
 * Reads the range of a `Content-Range` or of the seed's `Range`; null if the server has to refuse
 * it.
 */
export function referenceRange(value: string, isRange: boolean): Position | null {
  const text = trim(value)
  const closed = isRange ? /^bytes=([0-9]+)-([0-9]+)$/i.exec(text) : null
  const match =
    closed ?? /^(?:bytes[ \t]+)?(?:([0-9]+)-([0-9]+)\/([0-9]+|\*)|\*\/([0-9]+))$/i.exec(text)
  if (!match) return null
  const [, first, last, total, alone] = match
  if (alone !== undefined) {
    return BigInt(alone) > MAX_SAFE ? null : { range: null, completeLength: BigInt(alone) }
  }
  const range = [BigInt(first!), BigInt(last!) + 1n] as const
  const completeLength = total === undefined || total === '*' ? null : BigInt(total)
  if (range[0] > range[1] || range[1] > MAX_SAFE) return null
  if (completeLength === null) return { range, completeLength }
  return completeLength < range[1] || completeLength > MAX_SAFE ? null : { range, completeLength }
}

/** Reads start and complete length of a `Content-Offset`; null if the server has to refuse it. */
export function referenceOffset(
  value: string,
): readonly [start: number, completeLength: number | null] | null {
  const bare = `-?[0-9]{1,15}(?:[.][0-9]{1,3})?|"(?:[ !#-\\[\\]-~]|\\\\["\\\\])*"|[A-Za-z*][!#$%&'*+.^_\`|~0-9A-Za-z:/-]*|:[A-Za-z0-9+/=]*:|[?][01]`
  const parameter = `; *([a-z*][a-z0-9_.*-]*)(?:=(${bare}))?`
  const item = new RegExp(`^(-?[0-9]{1,15})((?:${parameter})*)$`).exec(trim(value))
  if (item === null) return null
  const all = [...item[2]!.matchAll(new RegExp(parameter, 'g'))].map(
    ([, key, text]) => [key, text ?? '?1'] as const,
  )
  const given = new Map(all)
  if (!/^bytes$/i.test(given.get('unit') ?? 'bytes')) return null
  const total = given.get('complete-length') ?? null
  if (total !== null && !/^-?[0-9]+$/.test(total)) return null
  const [start, length] = [Number(item[1]), total === null ? null : Number(total)]
  if (start < 0 || (length !== null && (length < 0 || length < start))) return null
  return [Math.abs(start), length === null ? null : Math.abs(length)]
}

function placedByRange(position: Position | null, length: bigint | null): Placement | null {
  const { range } = position ?? { range: null }
  const own = range === null ? 0n : range[1] - range[0]
  if (position === null || (length !== null && length !== own)) return null
  return { ...position, offset: null, isOpen: false }
}

function placedByOffset(values: readonly string[], length: bigint | null): Placement | null {
  const read = values.length === 1 ? referenceOffset(values[0]!) : null
  if (read === null || (length ?? 0n) > MAX_SAFE) return null
  const start = BigInt(read[0])
  const completeLength = read[1] === null ? null : BigInt(read[1])
  if (length === null) return { range: null, offset: start, isOpen: true, completeLength }
  if (completeLength !== null && start + length > completeLength) return null
  if (length === 0n && completeLength !== null) {
    return { range: null, offset: start, isOpen: false, completeLength }
  }
  return { range: [start, start + length], offset: null, isOpen: false, completeLength }
}

function referencePosition(
  contentRanges: readonly string[],
  ranges: readonly string[],
): Position | null {
  if (contentRanges.length > 1 || ranges.length > 1) return null
  const named = [
    ...contentRanges.map((value) => referenceRange(value, false)),
    ...ranges.map((value) => referenceRange(value, true)),
  ]
  const [one, other = one] = named
  if (!one || !other) return null
  if (String(one.range) !== String(other.range)) return null
  const [length, otherLength] = [one.completeLength, other.completeLength]
  if (length !== null && otherLength !== null && length !== otherLength) return null
  return { range: one.range, completeLength: length ?? otherLength }
}

function referenceFields(block: string): readonly FieldLine[] | null {
  const lines: string[] = []
  for (const line of block.split('\r\n').slice(0, -1)) {
    if (!/^[ \t]/.test(line)) lines.push(line)
    else if (lines.length === 0) return null
    else lines.push(`${lines.pop()} ${line.replace(/^[ \t]+/, '')}`)
  }
  if (lines.some((line) => !line.includes(':'))) return null
  return lines.map((line) => {
    const [name = '', ...rest] = line.split(':')
    return [name, rest.join(':')] as const
  })
}

function size({ range, offset, completeLength }: Placement): bigint {
  return completeLength ?? range?.[1] ?? offset!
}

function isStorableType(value: string): boolean {
  const isAscii = /^[\t\x20-\x7e]*$/.test(value)
  return value.length <= MAX_CONTENT_TYPE && isAscii && referenceMediaType(value) !== null
}

function isSame(one: string, other: string): boolean {
  return referenceMediaType(one) === referenceMediaType(other)
}

function unquoted(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replace(/\\([\s\S])/g, '$1') : text
}

/** Returns the number of bytes that the base64 encodes; null if it is malformed. */
function decoded(base64: string): number | null {
  const digits = base64.replace(/=+$/, '').length
  const isPadded = digits < base64.length
  if (digits % 4 === 1 || (isPadded && base64.length % 4 !== 0)) return null
  return Math.floor((digits * 3) / 4)
}

function trim(text: string): string {
  return text.replace(/^[ \t]+/, '').replace(/[ \t]+$/, '')
}
