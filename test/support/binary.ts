/** Encodes `application/byteranges`, each byte a latin-1 character. */

/** A variable-length integer (RFC 9000 §16) of the least width, or of `width` bytes. */
export function varint(value: number | bigint, width?: 1 | 2 | 4 | 8): string {
  const number = BigInt(value)
  const least = number < 64n ? 1 : number < 16_384n ? 2 : number < 1_073_741_824n ? 4 : 8
  const bytes = width ?? least
  const hex = (number | (BigInt(Math.log2(bytes)) << BigInt(bytes * 8 - 2))).toString(16)
  return Buffer.from(hex.padStart(bytes * 2, '0'), 'hex').toString('latin1')
}

/** Text after its length. */
export function sized(text: string): string {
  return varint(text.length) + text
}

type Fields = readonly (readonly [name: string, value: string])[]

const lines = (fields: Fields): string =>
  fields.map(([name, value]) => sized(name) + sized(value)).join('')

/** A message whose lengths come first. */
export function known(fields: Fields, data: string): string {
  return `\x08${sized(lines(fields))}${sized(data)}`
}

/** A message whose content comes in chunks. */
export function indeterminate(fields: Fields, ...chunks: readonly string[]): string {
  return `\x0a${lines(fields)}\0${chunks.map(sized).join('')}\0`
}

/** The fields of a part for this range. */
export function range(contentRange: string): Fields {
  return [['Content-Range', contentRange]]
}

/** The bytes of hexadecimal digits; white space is ignored. */
export function hex(digits: string): string {
  return Buffer.from(digits.replace(/\s/g, ''), 'hex').toString('latin1')
}
