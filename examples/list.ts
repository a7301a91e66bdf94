/** Lists what a storage of uploads holds, for a page or a route. */

import type { Dirent } from 'node:fs'
import { opendir, stat } from 'node:fs/promises'
import path from 'node:path'

import type { StorageAdapter } from 'partial-upload'

/** One file, finished or not. */
export interface ListedFile {
  /** Its path below `/files/`, not encoded. */
  readonly key: string
  /** Stored bytes. */
  readonly size: number
  /** Bytes that it will have; null if the client has not declared it. */
  readonly length: number | null
  readonly complete: boolean
  /** When it last changed, as an ISO date. */
  readonly modified: string
}

/** Where the storage keeps incomplete resources. */
const HIDDEN = '.partial-upload'

/** Lists all files, the one that changed last first. */
export async function listFiles(
  finished: AsyncIterable<ListedFile>,
  storage: StorageAdapter,
): Promise<readonly ListedFile[]> {
  const files = new Map<string, ListedFile>()
  for await (const file of finished) files.set(file.key, file)
  for await (const file of listUnfinished(storage)) files.set(file.key, file)
  return [...files.values()].toSorted((a, b) => b.modified.localeCompare(a.modified))
}

/** Finished files lie in the directory under their own names. */
export async function* listDirectory(
  directory: string,
): AsyncGenerator<ListedFile, void, undefined> {
  for await (const entry of walk(directory)) {
    const file = path.join(entry.parentPath, entry.name)
    const key = path.relative(directory, file).replaceAll(path.sep, '/')
    const found = await stat(file).catch(() => null)
    // It may have been removed since.
    if (found === null) continue
    const { size, mtime } = found
    yield { key, size, length: size, complete: true, modified: mtime.toISOString() }
  }
}

async function* walk(directory: string): AsyncGenerator<Dirent, void, undefined> {
  for (const entry of await entriesOf(directory)) {
    if (entry.isFile()) yield entry
    if (entry.isDirectory() && entry.name !== HIDDEN) yield* walk(path.join(directory, entry.name))
  }
}

/** Returns none if the directory does not exist. */
async function entriesOf(directory: string): Promise<readonly Dirent[]> {
  const entries: Dirent[] = []
  try {
    for await (const entry of await opendir(directory)) entries.push(entry)
  } catch {
    return entries
  }
  return entries
}

async function* listUnfinished(
  storage: StorageAdapter,
): AsyncGenerator<ListedFile, void, undefined> {
  for await (const key of storage.listIncomplete?.() ?? []) {
    const info = await storage.head(key)
    if (info === null || info.complete) continue
    const { size, completeLength: length, lastModified } = info
    yield { key, size, length, complete: false, modified: lastModified.toISOString() }
  }
}
