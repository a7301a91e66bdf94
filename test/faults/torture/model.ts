/** What a resource under torture may be, and what came of a change of it. */
import { createHash } from 'node:crypto'

import type { Bytes } from '../../support/wire/client.ts'

/** What a kill can hit in the middle. */
export const KINDS = [
  'segment',
  'put',
  'patch',
  'multipart',
  'delete',
  'expire',
  'sweep',
  'read',
] as const

/** One of them. */
export type Kind = (typeof KINDS)[number]

/** A version of a resource; the bytes of one that is not there are null. */
export interface Version {
  readonly bytes: Buffer | null
  readonly complete: boolean
  /** Length that was declared, or that it has. */
  readonly length: number
  readonly type: string
}

export const ABSENT: Version = { bytes: null, complete: false, length: 0, type: '' }

/** One request, and what it makes of the resource. */
export interface Change {
  readonly kind: Kind
  readonly method: string
  readonly fields: readonly string[]
  readonly body: Bytes
  readonly next: Version
  /** Whether some of it may be there when it is cut. */
  readonly persists: boolean
}

/** What a kill has left of a change. */
export type Remains = 'before' | 'part' | 'after'

/** Tells what has come of a change of `old` that was cut; null if `found` is none of the possible. */
export function remainsOf(found: Version, old: Version, change: Change | null): Remains | null {
  if (isSame(found, old)) return 'before'
  if (change === null) return null
  if (isSame(found, change.next)) return 'after'
  return change.persists && isBetween(found, old, change.next) ? 'part' : null
}

/** Whether two versions look the same to a client. */
function isSame(a: Version, b: Version): boolean {
  if (a.bytes === null || b.bytes === null) return a.bytes === b.bytes
  const isAlike = a.complete === b.complete && a.length === b.length && a.type === b.type
  return isAlike && a.bytes.equals(b.bytes)
}

/** An upload that has got some of a segment, or all but its end: none of what it had is gone. */
function isBetween(found: Version, old: Version, next: Version): boolean {
  if (found.bytes === null || next.bytes === null || found.complete || old.complete) return false
  const isFitting = found.length === next.length && found.bytes.length >= (old.bytes?.length ?? 0)
  const type = old.bytes === null ? next.type : old.type
  return isFitting && found.type === type && startsWith(next.bytes, found.bytes)
}

export function startsWith(whole: Buffer, start: Buffer): boolean {
  return start.equals(whole.subarray(0, start.length))
}

export function describeVersion({ bytes, complete, length, type }: Version): string {
  if (bytes === null) return 'absent'
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 8)
  const state = complete ? `C(${bytes.length})` : `I(${bytes.length}/${length})`
  return `${state} ${type} ${digest}`
}

/** Gives integers from 0 to `limit`, exclusive. */
export type Random = (limit: number) => number

/** The same numbers for the same seed. */
export function createRandom(seed: string): Random {
  let state = createHash('sha256').update(seed).digest().readUInt32LE()
  // Mulberry32: small, and even enough for choices.
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), state | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return Math.floor((((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
}

export function pick<T>(values: readonly T[], random: Random): T {
  const value = values[random(values.length)]
  if (value === undefined) throw new Error('there is nothing to pick from')
  return value
}
