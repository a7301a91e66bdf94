/**
 * The versions that a resource of a torture run may have, and the outcome of a change that was cut.
 */
import { createHash } from 'node:crypto'

import type { Bytes } from '../../support/wire/client.ts'

/** The kinds of work that a kill can hit in the middle. */
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

/** A kind of work. */
export type Kind = (typeof KINDS)[number]

/** A version of a resource. The bytes of a resource that does not exist are null. */
export interface Version {
  readonly bytes: Buffer | null
  readonly complete: boolean
  /** Length that was declared, or that it has. */
  readonly length: number
  readonly type: string
}

export const ABSENT: Version = { bytes: null, complete: false, length: 0, type: '' }

/** One request, and the version that it leads to. */
export interface Change {
  readonly kind: Kind
  readonly method: string
  readonly fields: readonly string[]
  readonly body: Bytes
  readonly next: Version
  /** Whether some of it may be there when it is cut. */
  readonly persists: boolean
}

/** How much of a change a kill has left. */
export type Remains = 'before' | 'part' | 'after'

/**
 * Returns the outcome of a change of `old` that was cut; null if the protocol does not allow the
 * version `found`.
 */
export function remainsOf(found: Version, old: Version, change: Change | null): Remains | null {
  if (isSame(found, old)) return 'before'
  if (change === null) return null
  if (isSame(found, change.next)) return 'after'
  return change.persists && isBetween(found, old, change.next) ? 'part' : null
}

/** Whether a client can't distinguish two versions. */
function isSame(a: Version, b: Version): boolean {
  if (a.bytes === null || b.bytes === null) return a.bytes === b.bytes
  const isAlike = a.complete === b.complete && a.length === b.length && a.type === b.type
  return isAlike && a.bytes.equals(b.bytes)
}

/** Whether `found` is an upload with all of its earlier bytes and the first bytes of a segment. */
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

/** Returns an integer from 0 to `limit`, exclusive. */
export type Random = (limit: number) => number

/** Creates a generator that returns the same numbers for the same seed. */
export function createRandom(seed: string): Random {
  let state = createHash('sha256').update(seed).digest().readUInt32LE()
  // Mulberry32: short, and uniform enough for choices.
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
