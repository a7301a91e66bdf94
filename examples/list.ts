/**
 * Lists the finished and the incomplete files of a store, or of one folder in it. The middleware
 * has no route for this, because each app decides which files a user may see. authorize.ts and
 * server.ts use these functions in a route.
 */

import type { Dirent } from 'node:fs'
import { opendir, stat } from 'node:fs/promises'
import path from 'node:path'

import type { StorageAdapter } from 'partial-upload'

/** One file, finished or not. */
export interface ListedFile {
  /** Path of the file in the listed folder, not percent-encoded. */
  readonly key: string
  /** Number of stored bytes. */
  readonly size: number
  /** Number of bytes of the finished file; null if the client has not declared it yet. */
  readonly length: number | null
  readonly complete: boolean
  /** Time of the last change, in the format of ISO 8601. */
  readonly modified: string
}

/**
 * The folder in which `fsStorage` keeps incomplete resources. It is not listed as a folder of files.
 */
const HIDDEN = '.partial-upload/'

/**
 * Lists all files of a folder such as `ann/`, or of all folders without one. The file that was changed
 * last comes first. `finished` are the finished files of the same folder, for example from
 * `listDirectory`.
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

/** Lists the finished files of `fsStorage`, which are in its directory under their keys. */
export async function* listDirectory(
  directory: string,
  folder = '',
): AsyncGenerator<ListedFile, void, undefined> {
  for await (const file of walk(directory, folder)) {
    const found = await stat(path.join(directory, file)).catch(() => null)
    // Another request may have removed the file since its folder was read.
    if (found === null) continue
    const { size, mtime } = found
    const key = file.slice(folder.length)
    yield { key, size, length: size, complete: true, modified: mtime.toISOString() }
  }
}

/** Yields the paths of all files below a folder. */
async function* walk(directory: string, folder: string): AsyncGenerator<string, void, undefined> {
  if (folder === HIDDEN) return
  for (const entry of await entriesOf(path.join(directory, folder))) {
    if (entry.isFile()) yield folder + entry.name
    if (entry.isDirectory()) yield* walk(directory, `${folder}${entry.name}/`)
  }
}

/** Returns the entries of a directory; none if it does not exist, because no file was uploaded yet. */
async function entriesOf(directory: string): Promise<readonly Dirent[]> {
  const entries: Dirent[] = []
  try {
    for await (const entry of await opendir(directory)) entries.push(entry)
  } catch {
    return entries
  }
  return entries
}

/**
 * Lists the incomplete files. Their keys come from the storage, which also knows their declared
 * lengths.
 */
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
