/** The reader of the file store: an open file, which outlives a replacement and a removal of its path. */

import { fstatSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import type { Reader, ResourceInfo } from '../adapter.ts'
import type { Lease, Leases } from './leases.ts'
import { FileReader, READ, openIfThere } from './io.ts'
import type { ResourcePaths } from './paths.ts'
import { fileFingerprint } from './record.ts'
import { currentRecord } from './record-cache.ts'
import { find } from './version.ts'
import type { Complete, Incomplete } from './version.ts'

/** Tries to open a version while other writers commit new ones, before the reader gives up. */
const MAX_TRIES = 100

/**
 * Opens the current version; null if the resource is absent. The file stays open until `close`, so that
 * the version outlives a replacement and a removal. Only the bytes of an incomplete resource may be
 * overwritten or truncated in place. In that case reads fail, because they would mix two versions.
 */
export async function openVersion(paths: ResourcePaths, leases: Leases): Promise<Reader | null> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const found = await find(paths)
    if (found.kind === 'absent') return null
    const file = await openIfThere(found.path, READ)
    if (file === null) continue
    const reader = await begin(paths, leases, found, file).catch(async (error: unknown) => {
      await file.close()
      throw error
    })
    if (reader !== null) return reader
    await file.close()
  }
  throw new Error('the resource changes too fast to be opened')
}

/** Creates the reader; null if the opened file is not the one of the version. */
async function begin(
  paths: ResourcePaths,
  leases: Leases,
  found: Incomplete | Complete,
  file: FileHandle,
): Promise<Reader | null> {
  if (found.kind === 'complete') {
    // An open file: the system answers from memory.
    const isSame = fileFingerprint(fstatSync(file.fd, { bigint: true })) === found.fingerprint
    return isSame ? unchanging(found.info, file) : null
  }
  // The size is the one that was found with the record. A stat of the open file could see the bytes of
  // an atomic append:
  //
  //     reader                               atomic writer
  //     finds record R and 6 bytes
  //                                          pins the size in a new record, appends 3 bytes
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

function unchanging(info: ResourceInfo, file: FileHandle): Reader {
  const reader = new FileReader(file, () => {})
  return {
    info,
    read: (start, end) => reader.read(start, end),
    close: () => reader.close(),
  }
}

function changing(info: ResourceInfo, file: FileHandle, leases: Leases, lease: Lease): Reader {
  const reader = new FileReader(file, () => {
    if (lease.isInvalid) throw new Error('the version was changed while it was read')
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
