/** One resource as its writers see it, and what they share. */

import type { FileHandle } from 'node:fs/promises'
import type { Flusher } from './flusher.ts'
import type { Leases } from './leases.ts'
import type { ResourcePaths } from './paths.ts'
import type { Durability } from './record.ts'
import { cacheOf } from './page-cache.ts'
import type { OpenFileCache } from './open-files.ts'

/** What a power cut may take: see `FsStorageOptions`. */
export type Fsync = 'complete' | 'segment' | 'never'

/** What all writers of one folder in this process share. */
export interface Shared {
  /** Who relies on what. */
  readonly leases: Leases
  /** The uploads that wait for their next segment. */
  readonly openFiles: OpenFileCache
  /** Makes data durable. */
  readonly flusher: Flusher
}

/** One resource, as its writers see it. */
export interface FsResource extends Shared {
  /** Its paths. */
  readonly paths: ResourcePaths
  /** What is fsynced. */
  readonly fsync: Fsync
  /** Throws if the folder of the store is gone, in which case nobody can say what is in it. */
  readonly assertThere: () => Promise<void>
}

/** Data in the hidden folder. */
export interface DataFile {
  /** Its name there. */
  readonly name: string
  /** Open for reading and writing. */
  readonly file: FileHandle
}

/** How durable the record of a finished or an atomic version has to be. */
export function durabilityOf({ fsync }: FsResource): Durability {
  return fsync === 'never' ? 'later' : 'now'
}

/** What a record says of the page cache that holds its bytes; nothing where no fsync is promised. */
export function recordedCache({ fsync, paths }: FsResource): string {
  return fsync === 'never' ? '' : cacheOf(paths)
}

/** Makes the error for a writer whose `base` is no longer the current version. */
export function changedMeanwhile(): Error {
  return new Error('the resource was changed by another writer')
}
