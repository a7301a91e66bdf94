/** Whether a file system shares blocks between a file and its copy (reflink), so that a copy takes no time. */

import { constants, copyFile, unlink, writeFile } from 'node:fs/promises'
import { createStaging, newStagedName, stagedPath } from '../paths.ts'
import type { Folders, ResourcePaths } from '../paths.ts'

/** One block, because an empty file has nothing to share. */
const PROBE_SIZE = 4096

const KNOWN = new Map<string, Promise<boolean>>()

/** Finds out by a copy of a small file, once for each staging directory. */
export function sharesBlocks(paths: ResourcePaths): Promise<boolean> {
  const known = KNOWN.get(paths.staging) ?? probe(paths, paths.hash)
  KNOWN.set(paths.staging, known)
  return known
}

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
