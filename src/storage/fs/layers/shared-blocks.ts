/**
 * Finds out whether a file system shares blocks between a file and its copy (reflink), so that a
 * copy takes no time.
 */

import { constants, copyFile, unlink, writeFile } from 'node:fs/promises'
import { createStaging, newStagedName, stagedPath } from '../paths.ts'
import type { Folders, ResourcePaths } from '../paths.ts'

/** Bytes of the copied file: one block, because an empty file has no block to share. */
const PROBE_SIZE = 4096

/** The result for each staging directory, by its path. */
const KNOWN = new Map<string, Promise<boolean>>()

/**
 * Returns whether the file system of the staging directory shares blocks. The first call copies a
 * small file.
 */
export function sharesBlocks(paths: ResourcePaths): Promise<boolean> {
  const known = KNOWN.get(paths.staging) ?? probe(paths, paths.hash)
  KNOWN.set(paths.staging, known)
  return known
}

/**
 * Copies a small file with the demand that its blocks are shared, which fails where that is
 * impossible. Any other failure counts as `false` too, because layers, in contrast to shared
 * blocks, work on every file system.
 */
async function probe(folders: Folders, hash: string): Promise<boolean> {
  const [from, to] = [0, 1].map(() =>
    stagedPath(folders, newStagedName(hash, folders.ownerLease, 'tmp')),
  )
  if (from === undefined || to === undefined) return false
  try {
    await createStaging(folders)
    await writeFile(from, Buffer.alloc(PROBE_SIZE, 1), { flag: 'wx' })
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE)
    return true
  } catch {
    return false
  } finally {
    await Promise.allSettled([unlink(from), unlink(to)])
  }
}
