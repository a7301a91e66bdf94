/**
 * Reads the preference `transaction` of the draft from `Prefer` (RFC 7240). `atomic` asks that an
 * interrupted request changes nothing, `persist` that the bytes which have arrived are kept.
 */
import type { Transaction } from '../storage/adapter.ts'
import { QUOTED_STRING, TOKEN, unquote } from './syntax.ts'

const WORD = `${TOKEN}|${QUOTED_STRING}`
/** The value of a preference or parameter. An empty value equals none (RFC 7240 §2). */
const ASSIGNED = `(?:[ \\t]*=(?:[ \\t]*(${WORD}))?)?`
const PREFERENCE = new RegExp(`[ \\t]*(${TOKEN})${ASSIGNED}`, 'y')
const PARAMETER = new RegExp(`[ \\t]*;(?:[ \\t]*${TOKEN}${ASSIGNED})?`, 'y')
const SEPARATOR = /[ \t]*(?:,|$)/y

/**
 * Returns the transaction that the client prefers; null if it prefers none. The first of several
 * `transaction` preferences counts (RFC 7240 §2). An unknown value, and everything after a
 * malformed element, is ignored, because a preference must not make a request fail.
 */
export function preferredTransaction(prefer: string | null): Transaction | null {
  const field = prefer ?? ''
  let at = 0
  while (at < field.length) {
    const preference = matchAt(PREFERENCE, field, at)
    if (preference) at = skipParameters(field, PREFERENCE.lastIndex)
    if (!matchAt(SEPARATOR, field, at)) return null
    at = SEPARATOR.lastIndex
    if (preference?.[1]?.toLowerCase() === 'transaction') return toTransaction(preference[2])
  }
  return null
}

/** Returns the position after the parameters of a preference. */
function skipParameters(field: string, start: number): number {
  let at = start
  while (matchAt(PARAMETER, field, at)) at = PARAMETER.lastIndex
  return at
}

/** Matches a sticky pattern at a position; null if it does not match there. */
function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}

function toTransaction(word: string | undefined): Transaction | null {
  const value = unquote(word ?? '')
  return value === 'atomic' || value === 'persist' ? value : null
}
