/**
 * Formats and parses the notes of `events.ts`, and keeps them in memory if the storage can't store
 * them. Without stored notes the app is notified again after a failing hook, but not after a crash.
 */
import type { ChangeNotes, ResourceInfo } from '../storage/adapter.ts'

/**
 * A change that the app may not have been notified of. It may not have been made either, because
 * the note is written before the change.
 */
export interface ChangeNote {
  /** The last version before the change that the app was notified of; null if there is none. */
  readonly known: ResourceInfo | null
  /** The version that the change removes; null if it publishes one. */
  readonly removed: ResourceInfo | null
}

/** Formats a note as JSON. */
export function formatNote({ known, removed }: ChangeNote): string {
  return JSON.stringify({ known, removed } satisfies ChangeNote)
}

/**
 * Parses a note. A version that can't be parsed becomes null: the app then counts as not knowing
 * any version, and is notified, if need be a second time.
 */
export function parseNote(text: string): ChangeNote {
  const value = parseJson(text)
  if (!isObject(value)) return { known: null, removed: null }
  return { known: parseInfo(value['known']), removed: parseInfo(value['removed']) }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function parseInfo(value: unknown): ResourceInfo | null {
  if (!isObject(value)) return null
  const { complete, everComplete, completeLength, size, etag, lastModified } = value
  if (typeof complete !== 'boolean' || typeof everComplete !== 'boolean') return null
  if (typeof size !== 'number' || typeof etag !== 'string') return null
  if (typeof lastModified !== 'string') return null
  return {
    complete,
    everComplete,
    completeLength: typeof completeLength === 'number' ? completeLength : null,
    contentType: stringOrNull(value['contentType']),
    contentDisposition: stringOrNull(value['contentDisposition']),
    reprDigest: stringOrNull(value['reprDigest']),
    owner: stringOrNull(value['owner']),
    size,
    etag,
    lastModified: new Date(lastModified),
  }
}

function stringOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

/** Returns notes that are kept in memory, and are lost with the process. */
export function memoryNotes(): ChangeNotes {
  const notes = new Map<string, string>()
  return {
    read: async (key) => notes.get(key) ?? null,
    write: async (key, note) => void notes.set(key, note),
    remove: async (key) => void notes.delete(key),
    // Lists the notes of earlier processes, of which memory has none.
    async *list() {},
  }
}
