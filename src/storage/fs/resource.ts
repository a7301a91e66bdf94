/** What the writers of one resource need: its paths, the durability, and the state that all writers share. */

import type { FileHandle } from 'node:fs/promises'
import { conflict } from '../conflict.ts'
import type { Flusher } from './flusher.ts'
import type { PatchPolicy } from './layers/layer-policy.ts'
import type { Leases } from './leases.ts'
import type { Folders, ResourcePaths } from './paths.ts'
import type { Durability, FsRecord } from './record.ts'
import { cacheOf } from './page-cache.ts'
import type { OpenFileCache } from './open-files.ts'

/** What survives a power cut: see `FsStorageOptions`. */
export type Fsync = 'complete' | 'segment' | 'never'

/** Rebuilds resources into whole files, in the background. */
export interface RebuildSchedule {
  /** Notes a patch by a layer. `isDue`: the rebuild does not wait until no more patches come. */
  schedule(resource: FsResource, isDue: boolean): void
}

/** Removes layers that no version needs, an hour later. */
export interface LayersToRemove {
  /** Notes layers that were merged into others, or whose file another program has replaced. */
  add(paths: ResourcePaths, names: readonly string[]): void
  /** Notes a layer that a process which has ended has left, `age` milliseconds after its last change. */
  adopt(folders: Folders, hash: string, name: string, age: number): void
  /** Removes the noted layers of one resource now, because the file below them was replaced. */
  removeOf(paths: ResourcePaths): Promise<void>
}

/** What all stores on one directory share in this process. */
export interface Shared {
  /** The leases of its readers and writers. */
  readonly leases: Leases
  /** The open data files of uploads that wait for their next segment. */
  readonly openFiles: OpenFileCache
  /** Makes data durable, in the background and at the end of writes. */
  readonly flusher: Flusher
  /** Rebuilds patched resources. */
  readonly rebuilds: RebuildSchedule
  /** Removes layers that no version needs. */
  readonly layersToRemove: LayersToRemove
}

/** One resource, and what its writers need. */
export interface FsResource extends Shared {
  /** Its paths. */
  readonly paths: ResourcePaths
  /** The durability that the app has chosen. */
  readonly fsync: Fsync
  /** How finished resources are patched. */
  readonly policy: PatchPolicy
  /**
   * Throws if the directory of the store is missing. An unmounted disk must be reported as an error, and not
   * as the absence of all resources.
   */
  readonly assertThere: () => Promise<void>
}

/** An open file in the staging directory. */
export interface DataFile {
  /** Its name there. */
  readonly name: string
  /** Open for reading and writing. */
  readonly file: FileHandle
}

/** Returns when the record of a finished or an atomic version has to be durable. */
export function durabilityOf({ fsync }: FsResource): Durability {
  return fsync === 'never' ? 'later' : 'now'
}

/**
 * Returns when the record of an upload that replaces `old` has to be durable. The first record of an upload is
 * not fsynced by default, because a power cut may lose the last seconds of an upload anyway.
 */
export function uploadDurability(resource: FsResource, old: FsRecord | null): Durability {
  return old === null && resource.fsync === 'complete' ? 'later' : durabilityOf(resource)
}

/** Returns what a record says of the page cache that holds its bytes; empty where no fsync is promised. */
export function recordedCache({ fsync, paths }: FsResource): string {
  return fsync === 'never' ? '' : cacheOf(paths)
}

/** Makes the error for a writer whose `base` is no longer the current version. */
export function changedMeanwhile(): Error {
  return conflict()
}
