/**
 * Finds file systems that are mounted below the directory of a store, such as the volume of a
 * container. A rename can't move a file to another file system (EXDEV), so that a resource below a
 * mount point is staged in a directory below that mount point.
 */

import { createHash } from 'node:crypto'
import { lstatSync, readFileSync } from 'node:fs'
import { mkdir, readdir, readlink, symlink } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'
import { errorCode, ifThere } from './io.ts'

/**
 * Milliseconds for which the list of mounts is kept, because reading it for each request would cost
 * more than the rest of a small request.
 */
const MAX_AGE = 1000

/** The mount points below the directory of a store. */
export class MountTable {
  #points: ReadonlySet<string> = new Set()
  #readAt = -Infinity

  /**
   * Returns the innermost mount point among `parents`, the directories above a resource; null if
   * none of them is one. A directory is a mount point if its device number differs from that of the
   * directory above it, or if the system lists it.
   */
  nearest(root: string, parents: readonly string[]): string | null {
    if (parents.length === 0) return null
    const points = this.#read(root)
    let nearest: string | null = null
    let device = deviceOf(root)
    for (const directory of parents) {
      const own = deviceOf(directory)
      if (own === null) break // Directories below a missing one do not exist either.
      // Both signs are needed: a bind mount may have the same device number as the directory above
      // it, and a subvolume of Btrfs has another one but is not in the list of mounts.
      if (own !== device || points.has(directory)) nearest = directory
      device = own
    }
    return nearest
  }

  #read(root: string): ReadonlySet<string> {
    const now = performance.now()
    if (now - this.#readAt < MAX_AGE) return this.#points
    this.#readAt = now
    this.#points = new Set(listMounts().filter((point) => point.startsWith(`${root}${sep}`)))
    return this.#points
  }
}

/**
 * Notes that a mount has a staging directory, so that the next process sweeps it and lists its
 * uploads. The note is a symbolic link to the mount point, in the staging directory of the store.
 */
export async function noteMount(staging: string, mount: string): Promise<void> {
  const directory = join(staging, 'mounts')
  const name = createHash('sha256').update(mount).digest('base64url')
  try {
    await mkdir(directory, { mode: 0o700 }).catch(passExisting)
    await symlink(relative(directory, mount), join(directory, name))
  } catch (error) {
    passExisting(error)
  }
}

/**
 * Returns the mount points that `noteMount` has noted, including those that are not mounted now.
 */
export async function notedMounts(staging: string): Promise<readonly string[]> {
  const directory = join(staging, 'mounts')
  const names = (await ifThere(readdir(directory))) ?? []
  const targets = await Promise.all(names.map((name) => readlink(join(directory, name))))
  return targets.map((target) => resolve(directory, target))
}

/** Throws `error` unless it says that the name exists, which another process may have created. */
function passExisting(error: unknown): void {
  if (errorCode(error) !== 'EEXIST') throw error
}

/** Returns the device number of a directory; null if it does not exist or is a symbolic link. */
function deviceOf(directory: string): number | null {
  try {
    const found = lstatSync(directory, { throwIfNoEntry: false })
    return found?.isDirectory() === true ? found.dev : null
  } catch {
    return null // The access to the resource itself reports the error.
  }
}

/**
 * Returns the fifth field of each line of mountinfo: the mount point (proc(5)), in which the kernel
 * has escaped spaces and backslashes.
 */
function listMounts(): readonly string[] {
  try {
    const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
    return lines.map((line) => unescape(line.split(' ')[4] ?? ''))
  } catch {
    return [] // Only Linux has the file. Elsewhere the device numbers alone show a mount.
  }
}

/** Decodes the octal escapes of a mount point, such as `\040` for a space. */
function unescape(point: string): string {
  return point.replace(/\\(?<octal>[0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}
