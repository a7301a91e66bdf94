/** Lists finished and unfinished files of a storage, or of one folder in it, for a page or a route. */

import type { Dirent } from 'node:fs'
import { opendir, stat } from 'node:fs/promises'
import path from 'node:path'

import type { StorageAdapter } from 'partial-upload'

/** One file, finished or not. */
export interface ListedFile {
  /** The storage key without the listed folder: the path below `/files/`, not encoded. */
  readonly key: string
  /** Stored bytes. */
  readonly size: number
  /** Bytes that it will have; null if the client has not declared it. */
  readonly length: number | null
  readonly complete: boolean
  /** When it last changed, as an ISO date. */
  readonly modified: string
}

/** Where the storage keeps incomplete resources. Only this folder at the top is not listed. */
const HIDDEN = '.partial-upload/'

/**
 * Lists all files of a folder such as `ann/`, or of all folders, the one that changed last first. `finished` are
 * the finished files of the same folder.
 */
export async function listFiles(
  finished: AsyncIterable<ListedFile>,
  storage: StorageAdapter,
  folder = '',
): Promise<readonly ListedFile[]> {
  const files = new Map<string, ListedFile>()
  for await (const file of finished) files.set(file.key, file)
  for await (const file of listUnfinished(storage, folder)) files.set(file.key, file)
  return [...files.values()].toSorted((a, b) => b.modified.localeCompare(a.modified))
}

/** Finished files lie in the directory under their own names. */
export async function* listDirectory(
  directory: string,
  folder = '',
): AsyncGenerator<ListedFile, void, undefined> {
  for await (const file of walk(directory, folder)) {
    const found = await stat(path.join(directory, file)).catch(() => null)
    // It may have been removed since.
    if (found === null) continue
    const { size, mtime } = found
    const key = file.slice(folder.length)
    yield { key, size, length: size, complete: true, modified: mtime.toISOString() }
  }
}

async function* walk(directory: string, folder: string): AsyncGenerator<string, void, undefined> {
  if (folder === HIDDEN) return
  for (const entry of await entriesOf(path.join(directory, folder))) {
    if (entry.isFile()) yield folder + entry.name
    if (entry.isDirectory()) yield* walk(directory, `${folder}${entry.name}/`)
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
  folder: string,
): AsyncGenerator<ListedFile, void, undefined> {
  for await (const key of storage.listIncomplete?.() ?? []) {
    if (!key.startsWith(folder)) continue
    const info = await storage.head(key)
    if (info === null || info.complete) continue
    const { size, completeLength: length, lastModified } = info
    const modified = lastModified.toISOString()
    yield { key: key.slice(folder.length), size, length, complete: false, modified }
  }
}
