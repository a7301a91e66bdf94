/**
 * File systems that are mounted below the directory of a store, such as a volume of a container. A rename
 * can't cross the border of a file system, so that a resource below a mount is staged below that mount too.
 */

import { createHash } from 'node:crypto'
import { lstatSync, readFileSync } from 'node:fs'
import { mkdir, readdir, readlink, symlink } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'
import { errorCode, ifThere } from './io.ts'

/** How long the list of mounts is cached, in milliseconds, because reading it for each request costs much. */
const MAX_AGE = 1000

/** The mount points below the directory of a store. */
export class MountTable {
  #points: ReadonlySet<string> = new Set()
  #readAt = -Infinity

  /**
   * Returns which of `parents`, the directories above a resource, is the innermost mount point; null if none
   * is. A mount is found by its device number, and by the list of the system where the number is the same.
   */
  nearest(root: string, parents: readonly string[]): string | null {
    if (parents.length === 0) return null
    const points = this.#read(root)
    let nearest: string | null = null
    let device = deviceOf(root)
    for (const directory of parents) {
      const own = deviceOf(directory)
      if (own === null) break // Directories below a missing one do not exist either.
      // A bind mount may have the device number of its surroundings, and a subvolume of Btrfs is not in the
      // list of mounts, so that both signs are needed.
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
 * Notes the staging directory of a mount, so that the next process sweeps it and lists its uploads. The note
 * is a symbolic link in the staging directory of the store.
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

/** Returns the mount points that `noteMount` has noted. */
export async function notedMounts(staging: string): Promise<readonly string[]> {
  const directory = join(staging, 'mounts')
  const names = (await ifThere(readdir(directory))) ?? []
  const targets = await Promise.all(names.map((name) => readlink(join(directory, name))))
  return targets.map((target) => resolve(directory, target))
}

function passExisting(error: unknown): void {
  if (errorCode(error) !== 'EEXIST') throw error
}

/** The device number of a directory; null if it is missing or a symbolic link. */
function deviceOf(directory: string): number | null {
  try {
    const found = lstatSync(directory, { throwIfNoEntry: false })
    return found?.isDirectory() === true ? found.dev : null
  } catch {
    return null // The access to the resource itself reports the error.
  }
}

/** Returns the fifth field of each line (proc(5)), in which spaces and backslashes are escaped. */
function listMounts(): readonly string[] {
  try {
    const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
    return lines.map((line) => unescape(line.split(' ')[4] ?? ''))
  } catch {
    return [] // Only Linux has the file; elsewhere only the device numbers show a mount.
  }
}

function unescape(point: string): string {
  return point.replace(/\\(?<octal>[0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}
