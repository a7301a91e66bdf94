/**
 * What the writers of one resource need: its paths, the durability that the app has chosen, and the
 * state that all storages on the directory share in this process.
 */

import type { FileHandle } from 'node:fs/promises'
import { conflict } from '../conflict.ts'
import type { Flusher } from './flusher.ts'
import type { PatchPolicy } from './layers/layer-policy.ts'
import type { Leases } from './leases.ts'
import type { Folders, ResourcePaths } from './paths.ts'
import type { Durability, FsRecord } from './record.ts'
import { cacheOf } from './page-cache.ts'
import type { OpenFileCache } from './open-files.ts'

/** Which bytes survive a power cut: see `FsStorageOptions`. */
export type Fsync = 'complete' | 'segment' | 'never'

/** Rebuilds files with layers in the background, into files without layers. */
export interface RebuildSchedule {
  /**
   * Notes that a resource has got a layer. With `isDue` the rebuild begins as soon as possible,
   * otherwise after some time without a patch.
   */
  schedule(resource: FsResource, isDue: boolean): void
}

/** Removes layers that no version needs any more, after an hour (`layers/kept-layers.ts`). */
export interface LayersToRemove {
  /** Adds layers that were merged into another one, or whose file another program has replaced. */
  add(paths: ResourcePaths, names: readonly string[]): void
  /** Adds a layer that an ended process has left, `age` milliseconds after its last change. */
  adopt(folders: Folders, hash: string, name: string, age: number): void
  /** Removes the added layers of one resource now, because the file below them was replaced. */
  removeOf(paths: ResourcePaths): Promise<void>
}

/** The state that all storages on one directory share in this process. */
export interface Shared {
  /** The leases of the readers and writers of this process. */
  readonly leases: Leases
  /** The data files of uploads that stay open until the next segment. */
  readonly openFiles: OpenFileCache
  /** Fsyncs data files, in the background and at the end of writes. */
  readonly flusher: Flusher
  /** Rebuilds files with layers. */
  readonly rebuilds: RebuildSchedule
  /** Removes layers that no version needs. */
  readonly layersToRemove: LayersToRemove
}

/** One resource, with all that its writers need. */
export interface FsResource extends Shared {
  /** The paths of its files. */
  readonly paths: ResourcePaths
  /** The option `fsync` of the storage. */
  readonly fsync: Fsync
  /** How a finished file is changed: the options about patches. */
  readonly policy: PatchPolicy
  /**
   * Throws if the directory of the store does not exist. An unmounted disk must be reported as an
   * error (500), and not as the absence of all resources (404).
   */
  readonly assertThere: () => Promise<void>
}

/** An open file in the staging directory. */
export interface DataFile {
  /** Name of the file in the staging directory. */
  readonly name: string
  /** Handle that is open for reading and writing. */
  readonly file: FileHandle
}

/** Returns when the record of a finished or of an atomic version has to be durable. */
export function durabilityOf({ fsync }: FsResource): Durability {
  return fsync === 'never' ? 'later' : 'now'
}

/**
 * Returns when the record of an upload that replaces `old` has to be durable. By default the first
 * record of an upload is not fsynced, because a power cut may lose the last seconds of an upload
 * anyway.
 */
export function uploadDurability(resource: FsResource, old: FsRecord | null): Durability {
  return old === null && resource.fsync === 'complete' ? 'later' : durabilityOf(resource)
}

/**
 * Returns the page cache that a new record names, on which the trust in unflushed bytes depends;
 * empty with `fsync: 'never'`, which promises nothing after a power cut.
 */
export function recordedCache({ fsync, paths }: FsResource): string {
  return fsync === 'never' ? '' : cacheOf(paths)
}

/**
 * Makes the error for a writer whose `base` is not the current version any more, because another
 * writer has changed the resource: 409 `ERR_CONFLICT`.
 */
export function changedMeanwhile(): Error {
  return conflict()
}
