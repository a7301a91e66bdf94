/** Selects the bytes that a GET with `Range` asks for (RFC 9110 §14.2). */
import parseRange from 'range-parser'
import { trimWhitespace } from './syntax.ts'

/** The result of a `Range` for one representation. */
export type RangeSelection =
  /** The field has to be ignored: answer with the whole representation. */
  | { readonly kind: 'whole' }
  /** No range overlaps the representation: answer with 416. */
  | { readonly kind: 'unsatisfiable' }
  | {
      readonly kind: 'ranges'
      /** At least one range, in bytes, `end` exclusive. Overlapping or adjacent ones are joined. */
      readonly ranges: readonly { readonly start: number; readonly end: number }[]
    }

const WHOLE: RangeSelection = { kind: 'whole' }
const UNIT = /^bytes=/i
const RANGE = /^([0-9]*)-([0-9]*)$/

/**
 * Selects the ranges in a representation of `size` bytes. The field is ignored if it is malformed,
 * has another unit or more than `maxRanges` ranges, or if the representation is empty. Many small
 * ranges are an attack, because each one costs a header in the answer (RFC 9110 §17.15).
 */
export function selectRanges(range: string, size: number, maxRanges: number): RangeSelection {
  const unit = UNIT.exec(range)
  if (!unit || size === 0) return WHOLE
  const specs = range
    .slice(unit[0].length)
    .split(',')
    .map(trimWhitespace)
    .filter((spec) => spec !== '')
  if (specs.length === 0 || specs.length > maxRanges) return WHOLE
  const clipped: string[] = []
  for (const spec of specs) {
    const clippedSpec = clip(spec, size)
    if (clippedSpec === null) return WHOLE
    clipped.push(clippedSpec)
  }
  const ranges = parseRange(size, `bytes=${clipped.join(',')}`, { combine: true })
  if (ranges === -1 || ranges === -2) return { kind: 'unsatisfiable' }
  return { kind: 'ranges', ranges: ranges.map(({ start, end }) => ({ start, end: end + 1 })) }
}

/**
 * Returns one range of the field in a form that the package range-parser reads correctly; null if
 * it is malformed. The package reads `1x-2` as `1-2`, and treats a suffix longer than the
 * representation as unsatisfiable.
 */
function clip(spec: string, size: number): string | null {
  const [, first = '', last = ''] = RANGE.exec(spec) ?? []
  if (first === '') return last === '' ? null : `-${Math.min(Number(last), size)}`
  if (last === '') return `${Math.min(Number(first), size)}-`
  if (isBelow(last, first)) return null
  return `${Math.min(Number(first), size)}-${Math.min(Number(last), size)}`
}

/**
 * Returns whether the first number is less than the second. The digits are compared as text,
 * because two numbers above 2^53 may differ only in digits that a double loses, and parsing a
 * BigInt takes more than linear time.
 */
function isBelow(first: string, second: string): boolean {
  const [one, other] = [first, second].map((digits) => digits.replace(/^0+/, ''))
  return one!.length === other!.length ? one! < other! : one!.length < other!.length
}
