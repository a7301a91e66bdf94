/**
 * Detects a path that exists in another spelling. File systems that ignore the case of letters or
 * the difference of Unicode forms find the file `a` under the name `A` too. The keys `a` and `A`
 * have separate records and locks, so that two writers would change one file at the same time. A
 * key is therefore refused when the directory has its name in another spelling.
 */

import { lstatSync } from 'node:fs'
import { lstat, readdir, realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ifThere } from './io.ts'
import { STAGING } from './paths.ts'
import type { Folders, ResourcePaths } from './paths.ts'
import { HAS_ALIASES } from './windows.ts'

/** Whether the file system ignores case, by the path of its staging directory. */
const KNOWN = new Map<string, boolean>()

/**
 * Returns whether the path of a resource, or of a directory above it, exists in another spelling.
 */
export async function isOtherSpelling(paths: ResourcePaths): Promise<boolean> {
  const { parents, published } = paths
  // On Windows and macOS `realpath` returns the names as they are on the disk. On Linux it returns
  // the names that it was given, so that the directories have to be read.
  if (HAS_ALIASES) return ((await ifThere(realpath(published))) ?? published) !== published
  if (!ignoresCase(paths)) return false
  for (const path of [...parents, published]) {
    const names = await ifThere(readdir(dirname(path)))
    if (names === null) return false
    if (!names.includes(basename(path))) return (await ifThere(lstat(path))) !== null
  }
  return false
}

/**
 * Finds out whether the file system of the staging directory ignores case, by looking for its
 * name in capital letters. ext4 with casefold, exFAT, NTFS and CIFS find it.
 */
function ignoresCase({ staging }: Folders): boolean {
  const known = KNOWN.get(staging)
  if (known !== undefined) return known
  const own = lstatSync(staging, { throwIfNoEntry: false })
  const other = join(dirname(staging), STAGING.toUpperCase())
  const found = lstatSync(other, { throwIfNoEntry: false })
  const isSame = own !== undefined && found?.ino === own.ino && found.dev === own.dev
  // The staging directory of a mount is created only for the first upload below it. Until then the
  // result is not kept.
  if (own !== undefined) KNOWN.set(staging, isSame)
  return isSame
}
