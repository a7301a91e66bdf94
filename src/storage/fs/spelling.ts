/**
 * Spellings of a name. File systems that ignore the case of letters or the difference of Unicode forms find
 * the file `a` under the name `A` as well. The two keys would then be one resource with two records, so that
 * a name is refused where the directory has it in another spelling.
 */

import { lstatSync } from 'node:fs'
import { lstat, readdir, realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ifThere } from './io.ts'
import { STAGING } from './paths.ts'
import type { Folders, ResourcePaths } from './paths.ts'
import { HAS_ALIASES } from './windows.ts'

/** Whether the file systems of the staging directories ignore case, by their paths. */
const KNOWN = new Map<string, boolean>()

/** Returns whether the path of a resource, or of a directory above it, exists in another spelling. */
export async function isOtherSpelling(paths: ResourcePaths): Promise<boolean> {
  const { parents, published } = paths
  // `realpath` returns the names of the disk on these systems; on Linux it returns those it was given.
  if (HAS_ALIASES) return ((await ifThere(realpath(published))) ?? published) !== published
  if (!ignoresCase(paths)) return false
  for (const path of [...parents, published]) {
    const names = await ifThere(readdir(dirname(path)))
    if (names === null) return false
    if (!names.includes(basename(path))) return (await ifThere(lstat(path))) !== null
  }
  return false
}

/** Asks for the staging directory in capital letters: ext4 with casefold, exFAT, NTFS and CIFS find it. */
function ignoresCase({ staging }: Folders): boolean {
  const known = KNOWN.get(staging)
  if (known !== undefined) return known
  const own = lstatSync(staging, { throwIfNoEntry: false })
  const other = join(dirname(staging), STAGING.toUpperCase())
  const found = lstatSync(other, { throwIfNoEntry: false })
  const isSame = own !== undefined && found?.ino === own.ino && found.dev === own.dev
  // The staging directory below a mount is made late.
  if (own !== undefined) KNOWN.set(staging, isSame)
  return isSame
}
