/**
 * Stores resources as files. `<directory>/<key>` is a finished resource. The only other entry of
 * the directory is the staging directory `.partial-upload`, which holds a record for each resource
 * (`fs/record.ts`) and the data of incomplete resources. Made for the file systems of Linux and
 * macOS.
 */

import { resolve } from 'node:path'
import type { OpenWriterOptions, Reader, ResourceInfo, StorageAdapter, Writer } from './adapter.ts'
import { AtomicWriter } from './fs/atomic-writer.ts'
import { reportFull } from './fs/io.ts'
import type { PatchPolicy } from './fs/layers/layer-policy.ts'
import { LayerWriter } from './fs/layers/layer-writer.ts'
import { endTakeover, isTakenOver } from './fs/lock/takeover-note.ts'
import { escapeEarlierOwner } from './fs/new-file.ts'
import { isBelowUpload, isRemains } from './fs/parents.ts'
import { keyConflict } from './fs/paths.ts'
import { PersistWriter } from './fs/persist-writer.ts'
import { openVersion } from './fs/reader.ts'
import { changeNotes } from './fs/notes.ts'
import { removeResource } from './fs/remove.ts'
import { findFenced, repair } from './fs/recover.ts'
import { storeDirectoryOf, type StoreDirectory } from './fs/store.ts'
import type { Fsync, FsResource } from './fs/resource.ts'
import { sharesBlocks } from './fs/layers/shared-blocks.ts'
import { listIncomplete, listLayered } from './fs/sweep.ts'
import { find } from './fs/version.ts'
import type { Absent, Complete } from './fs/version.ts'
import { WriterLease } from './fs/writer-lease.ts'

export { fsLocker, type FsLockerOptions } from './fs/lock/locker.ts'

/** Where files are stored, and how much of them survives a power cut. */
export interface FsStorageOptions {
  /**
   * Path of the directory of the resources. It is created when it is missing. Several processes may
   * write to it only with `fsLocker`. Other programs may read and remove finished files, and add
   * files by a rename, but not write to them in place.
   */
  readonly directory: string
  /**
   * What survives a power cut or a crash of the system. A crash of the process alone loses nothing
   * that was acknowledged.
   *
   * - `complete`: finished resources, the atomicity of atomic writes, and all but the last seconds
   *   of an upload in progress
   * - `segment`: also each acknowledged segment of an upload, at the cost of two fsyncs per segment
   * - `never`: whatever the system has written by then
   *
   * @default 'complete'
   */
  readonly fsync?: Fsync
  /**
   * How a finished file is changed.
   *
   * - `copy`: a patch copies the file and then replaces it
   * - `layers`: a patch of a large file writes a layer, which is a small file in the staging
   *   directory with the changed bytes, so that it costs what it changes. GET and HEAD show the
   *   patch at once. The file itself changes only when it is rebuilt in the background: until then,
   *   programs that read the directory find the old bytes. `partialUpload` runs the rebuilds; a
   *   storage that is used without it never rebuilds.
   *
   * Where the file system shares blocks between copies (Btrfs, XFS), both copy, because that takes
   * no time.
   *
   * @default 'copy'
   */
  readonly patch?: 'copy' | 'layers'
  /**
   * With `patch: 'layers'`, the size in bytes below which a file is copied all the same.
   *
   * @default 16 MiB
   */
  readonly layersAbove?: number
  /**
   * Time without a patch after which a file with layers is rebuilt, in milliseconds. A file whose
   * layers have a quarter of its size is rebuilt without a delay.
   *
   * @default 5000
   */
  readonly rebuildAfter?: number
  /**
   * Largest number of bytes per second that a rebuild copies, so that requests get the rest of the
   * disk's bandwidth.
   *
   * @default 100,000,000
   */
  readonly rebuildRate?: number
}

const FSYNC: readonly unknown[] = ['complete', 'segment', 'never'] satisfies readonly Fsync[]

/**
 * Creates a storage that keeps resources as files in `directory`. Nothing is read or written before
 * the first request. Several storages on one directory share their state within this process.
 *
 * @throws TypeError when an option has a wrong type or is out of range.
 */
export function fsStorage(options: FsStorageOptions): StorageAdapter {
  const { directory, fsync, policy } = checked(options)
  const root = storeDirectoryOf(resolve(directory))
  const resourceOf = (key: string) => root.resourceOf(key, { fsync, policy })
  return {
    lockScope: root,
    head: async (key) => head(await resourceOf(key)),
    openReader: async (key) => openReader(await resourceOf(key)),
    async openWriter(key, writerOptions) {
      const resource = await resourceOf(key)
      await root.makeStaging(resource.paths)
      return openWriter(resource, writerOptions)
    },
    async remove(key, { isLost } = {}) {
      const resource = await resourceOf(key)
      await root.makeStaging(resource.paths)
      return remove(resource, isLost)
    },
    filePath: async (key) => filePath(await resourceOf(key)),
    notes: changeNotes(root, fsync),
    flush: () => root.flusher.flushAll(),
    async *listIncomplete() {
      for (const folders of await root.allFolders()) yield* listIncomplete(folders)
    },
    maintain(withLock) {
      // Best effort: without a rebuild, readers still see each patch through its layer.
      root.whenSwept(() => void scheduleRebuilds(root, resourceOf).catch(() => {}))
      return root.rebuilds.start(withLock)
    },
  }
}

/** Checks the options, and applies their defaults. */
function checked(options: FsStorageOptions): {
  readonly directory: string
  readonly fsync: Fsync
  readonly policy: PatchPolicy
} {
  const { directory, fsync = 'complete' } = options
  if (typeof directory !== 'string' || directory === '' || directory.includes('\0')) {
    throw new TypeError(`directory must be a path, not ${JSON.stringify(directory)}`)
  }
  if (!FSYNC.includes(fsync)) {
    throw new TypeError(`fsync must be one of ${FSYNC.join(', ')}, not ${JSON.stringify(fsync)}`)
  }
  return { directory, fsync, policy: policyOf(options) }
}

/** Checks the options about patches, and applies their defaults. */
function policyOf(options: FsStorageOptions): PatchPolicy {
  const {
    patch = 'copy',
    layersAbove = 16 * 1024 * 1024,
    rebuildAfter = 5000,
    rebuildRate = 100_000_000,
  } = options
  if (patch !== 'copy' && patch !== 'layers') {
    throw new TypeError(`patch must be copy or layers, not ${JSON.stringify(patch)}`)
  }
  for (const [name, value] of Object.entries({ layersAbove, rebuildAfter })) {
    if (!(value >= 0)) throw new TypeError(`${name} must be at least 0, not ${value}`)
  }
  if (!(rebuildRate > 0)) throw new TypeError(`rebuildRate must be above 0, not ${rebuildRate}`)
  return { patch, layersAbove, rebuildAfter, rebuildRate }
}

async function head({ paths, assertThere }: FsResource): Promise<ResourceInfo | null> {
  const found = await find(paths)
  if (found.kind !== 'absent') return found.info
  await assertThere()
  return null
}

async function openReader({ paths, leases, assertThere }: FsResource): Promise<Reader | null> {
  const reader = await openVersion(paths, leases)
  if (reader === null) await assertThere()
  return reader
}

/**
 * Returns the path of a finished file; null if the bytes at the path are not those of the version.
 */
async function filePath({ paths }: FsResource): Promise<string | null> {
  const found = await find(paths)
  const isFile = found.kind === 'complete' && found.overlay === null
  return isFile && found.unpublished === null ? found.path : null
}

/** Schedules the rebuilds that an earlier process of this store has left undone. */
async function scheduleRebuilds(
  root: StoreDirectory,
  resourceOf: (key: string) => Promise<FsResource>,
): Promise<void> {
  for (const folders of await root.allFolders()) {
    for await (const key of listLayered(folders)) {
      root.rebuilds.schedule(await resourceOf(key), false)
    }
  }
}

async function remove(resource: FsResource, isLost: OpenWriterOptions['isLost']): Promise<boolean> {
  const lease = takeLease(resource, isLost)
  try {
    const isRemoved = await reportFull(removeResource(resource, lease))
    const { root, hash } = resource.paths
    if (await isTakenOver(root, hash)) await endTakeover(root, hash)
    if (!isRemoved) await resource.assertThere()
    return isRemoved
  } finally {
    lease.end()
  }
}

function takeLease(resource: FsResource, isLost: OpenWriterOptions['isLost']): WriterLease {
  return new WriterLease(resource, resource.leases.take(resource.paths.hash, Infinity, isLost))
}

async function openWriter(resource: FsResource, options: OpenWriterOptions): Promise<Writer> {
  // The lease begins before the first read of the record. If it began later, another writer of this
  // process could change the resource in between, and this writer would not notice.
  const lease = takeLease(resource, options.isLost)
  try {
    return guarded(await reportFull(chooseWriter(resource, lease, options)), resource)
  } catch (error) {
    lease.end()
    resource.paths.ownerLease.update()
    throw error
  }
}

/**
 * Recovers the resource from an interrupted change, and returns the writer for this change. An
 * upload whose last segment has left its data file open is continued without reading its record.
 */
async function chooseWriter(
  resource: FsResource,
  lease: WriterLease,
  options: OpenWriterOptions,
): Promise<Writer> {
  const { transaction, replace, initial } = options
  const { root, hash } = resource.paths
  if (await isTakenOver(root, hash)) await resource.openFiles.drop(hash)
  const upload = await resource.openFiles.take(resource.paths)
  const isSound = upload !== null && !resource.flusher.hasFailedSync(upload.record.data)
  if (isSound && transaction === 'persist' && !replace) {
    return new PersistWriter(resource, lease, upload.found, initial, upload.file)
  }
  await upload?.file.close()

  const repaired = await repair(resource, await findFenced(resource.paths), lease)
  const found = await escapeEarlierOwner(resource, repaired, lease)
  if (found.kind === 'absent') await assertFree(resource, found)
  const mayPersist = found.kind === 'absent' || (found.kind === 'incomplete' && !replace)
  if (transaction === 'persist' && mayPersist) {
    return new PersistWriter(resource, lease, found, initial, null)
  }
  if (!replace && found.kind === 'complete' && (await hasLayers(resource, found))) {
    return new LayerWriter(resource, lease, found)
  }
  return new AtomicWriter(resource, lease, found, replace ? 'empty' : 'base')
}

/**
 * Checks that an absent resource can be published. A directory at the path holds no file if
 * it is left over from resources that were removed. It is removed when the resource is published.
 *
 * @throws UploadError `ERR_KEY_CONFLICT`
 */
async function assertFree(resource: FsResource, { isBlocked }: Absent): Promise<void> {
  const { paths } = resource
  await resource.assertThere()
  const isTaken = isBlocked && !(await isRemains(paths))
  if (isTaken || (await isBelowUpload(paths))) throw keyConflict()
}

/** Returns whether a change of this finished resource is written as a layer. */
async function hasLayers({ policy, paths }: FsResource, { info }: Complete): Promise<boolean> {
  const { patch, layersAbove } = policy
  return patch === 'layers' && info.size >= layersAbove && !(await sharesBlocks(paths))
}

/**
 * Wraps a writer for the protocol: reports a full disk as `ERR_STORAGE_FULL`, and ends the lease of
 * this process on its staged files after its last writer.
 */
function guarded(writer: Writer, { paths: { ownerLease } }: FsResource): Writer {
  const ending = <T>(work: Promise<T>): Promise<T> =>
    reportFull(work).finally(() => ownerLease.update())
  return {
    base: writer.base,
    transaction: writer.transaction,
    write: (position, chunks) => reportFull(writer.write(position, chunks)),
    truncate: (size) => reportFull(writer.truncate(size)),
    read: (start, end) => writer.read(start, end),
    commit: (state) => ending(writer.commit(state)),
    keep: () => ending(writer.keep()),
    rollback: () => ending(writer.rollback()),
  }
}
