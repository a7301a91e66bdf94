/** What a note about a change says, and notes in memory for a storage that has none of its own. */
import type { ChangeNotes, ResourceInfo } from '../storage/adapter.ts'

/** A change that the app was perhaps not notified of. It was perhaps not made either: the note is written first. */
export interface ChangeNote {
  /** The last version before the change that the app was notified of; null if there is none. */
  readonly known: ResourceInfo | null
  /** The version that the change removes; null if it publishes one. */
  readonly removed: ResourceInfo | null
}

/** Formats a note. */
export function formatNote({ known, removed }: ChangeNote): string {
  return JSON.stringify({ known, removed } satisfies ChangeNote)
}

/** Parses a note. A version that can't be parsed reads as null, so that the app is rather notified twice. */
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

/** Notes that end with the process. */
export function memoryNotes(): ChangeNotes {
  const notes = new Map<string, string>()
  return {
    read: async (key) => notes.get(key) ?? null,
    write: async (key, note) => void notes.set(key, note),
    remove: async (key) => void notes.delete(key),
    // No process before this one has left any.
    async *list() {},
  }
}
