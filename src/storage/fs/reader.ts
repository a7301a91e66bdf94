/**
 * Readers of the file store. A reader keeps its file open, which outlives a replacement and a
 * removal of its path.
 */

import { fstatSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import type { Reader, ResourceInfo } from '../adapter.ts'
import type { Lease, Leases } from './leases.ts'
import { FileReader, READ, openIfThere } from './io.ts'
import type { ReadableFile } from './io.ts'
import { MissingLayerError, openThroughLayers } from './layers/layered-file.ts'
import type { LayeredFile } from './layers/layered-file.ts'
import type { ResourcePaths } from './paths.ts'
import { fileFingerprint } from './record.ts'
import { changedMeanwhile } from './resource.ts'
import { currentRecord } from './record-cache.ts'
import { find } from './version.ts'
import type { Complete, Incomplete } from './version.ts'

/** Largest number of attempts to open a version while other writers commit new ones. */
const MAX_TRIES = 100

/**
 * Opens the current version; null if the resource is absent. The file stays open until `close`, so
 * that the reader continues with its version after the path was replaced or removed. Only the bytes
 * of an incomplete resource may be overwritten or truncated in place. Reads fail then, because they
 * would mix two versions.
 *
 * @throws Error when the resource changes during each of 100 attempts.
 */
export async function openVersion(paths: ResourcePaths, leases: Leases): Promise<Reader | null> {
  let last: string | null = null
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const found = await find(paths)
    if (found.kind === 'absent') return null
    try {
      const reader =
        found.kind === 'complete'
          ? await openFinished(paths, found)
          : await openIncomplete(paths, leases, found)
      if (reader !== null) return reader
    } catch (error) {
      // A layer that is missing may have been merged into another one since the record was read. If
      // the version is the same at the next attempt, the layer was lost.
      if (!(error instanceof MissingLayerError) || found.revision === last) throw error
    }
    last = found.revision
  }
  throw new Error(`the resource has changed during ${MAX_TRIES} attempts to open it`)
}

async function openFinished(paths: ResourcePaths, found: Complete): Promise<Reader | null> {
  const file = await openComplete(paths, found)
  return file === null ? null : unchanging(found.info, file)
}

/**
 * Opens the file of a finished version, with its layers. Returns null if another file is at the
 * path meanwhile.
 *
 * @throws MissingLayerError when a layer of the version does not exist.
 */
export async function openComplete(
  paths: ResourcePaths,
  { path, fingerprint, overlay }: Complete,
): Promise<FileHandle | LayeredFile | null> {
  return openAndKeep<FileHandle | LayeredFile>(path, async (file) => {
    // This call is synchronous because the system answers from memory for an open file.
    const stat = fstatSync(file.fd, { bigint: true })
    if (fileFingerprint(stat) !== fingerprint) return null
    if (overlay === null) return file
    return openThroughLayers(paths, file, Number(stat.size), overlay.layers)
  })
}

/**
 * Opens a finished version for a writer that holds the lock of the key.
 *
 * @throws UploadError `ERR_CONFLICT` when another file is at the path meanwhile.
 */
export async function openSource(
  paths: ResourcePaths,
  found: Complete,
): Promise<FileHandle | LayeredFile> {
  const file = await openComplete(paths, found)
  if (file === null) throw changedMeanwhile()
  return file
}

/**
 * Opens a file and passes it to `work`, which returns an object that owns the file, or null.
 * Without such an object the file is closed.
 */
async function openAndKeep<T>(
  path: string,
  work: (file: FileHandle) => Promise<T | null>,
): Promise<T | null> {
  const file = await openIfThere(path, READ)
  if (file === null) return null
  let result: T | null = null
  try {
    result = await work(file)
    return result
  } finally {
    if (result === null) await file.close()
  }
}

function openIncomplete(
  paths: ResourcePaths,
  leases: Leases,
  found: Incomplete,
): Promise<Reader | null> {
  return openAndKeep(found.path, (file) => begin(paths, leases, found, file))
}

/**
 * Creates the reader of an incomplete version; null if the version has changed since it was found.
 */
async function begin(
  paths: ResourcePaths,
  leases: Leases,
  found: Incomplete,
  file: FileHandle,
): Promise<Reader | null> {
  // The size is the one that was found with the record. A stat of the open file could include bytes
  // of an atomic append that is rolled back later:
  //
  //     reader                               atomic writer
  //     finds record R and 6 bytes
  //                                          notes the committed size in a new record, appends 3 bytes
  //     stats the file: 9 bytes
  //                                          rolls back: truncates to 6 bytes, the record is R again
  //     reads the record: R, as before
  const lease = leases.take(found.record.data, found.info.size)
  if ((await currentRecord(paths))?.text === found.revision && !lease.isInvalid) {
    return changing(found.info, file, leases, lease)
  }
  leases.drop(lease)
  return null
}

/** Creates the reader of a version whose file is never written to. */
function unchanging(info: ResourceInfo, file: ReadableFile): Reader {
  const reader = new FileReader(file, () => {})
  return {
    info,
    read: (start, end) => reader.read(start, end),
    close: () => reader.close(),
  }
}

/** Creates the reader of a version whose file a writer may change, which the lease notices. */
function changing(info: ResourceInfo, file: FileHandle, leases: Leases, lease: Lease): Reader {
  const reader = new FileReader(file, () => {
    if (lease.isInvalid) throw changedMeanwhile()
  })
  return {
    info,
    read: (start, end) => reader.read(start, end),
    async close() {
      leases.drop(lease)
      await reader.close()
    },
  }
}
