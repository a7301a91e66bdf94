/**
 * Where other file systems are mounted below the directory of a store. A rename can't leave a file
 * system, so that what is to be published below a mount must be staged on the same side of it.
 */

import { createHash } from 'node:crypto'
import { lstatSync, readFileSync } from 'node:fs'
import { mkdir, readdir, readlink, symlink } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'
import { errorCode, ifThere } from './io.ts'

/** How long the list of mounts is believed, in milliseconds: to read it costs more than a request may. */
const MAX_AGE = 1000

/** The mount points below the directory of a store. */
export class MountTable {
  #points: ReadonlySet<string> = new Set()
  #readAt = -Infinity

  /** The mount point among `parents`, directories below `root`, that is nearest to the resource. */
  nearest(root: string, parents: readonly string[]): string | null {
    if (parents.length === 0) return null
    const points = this.#read(root)
    let nearest: string | null = null
    let device = deviceOf(root)
    for (const directory of parents) {
      const own = deviceOf(directory)
      if (own === null) break // The directories below it do not exist either.
      // A bind mount may have the same device as what is around it, and the subvolume of a btrfs is in
      // no list.
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
 * Notes that there is a staging directory below a mount, so that the next process finds it: by a link in
 * a directory beside the staged files of the store.
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

/** The mounts that were noted. */
export async function notedMounts(staging: string): Promise<readonly string[]> {
  const directory = join(staging, 'mounts')
  const names = (await ifThere(readdir(directory))) ?? []
  const targets = await Promise.all(names.map((name) => readlink(join(directory, name))))
  return targets.map((target) => resolve(directory, target))
}

function passExisting(error: unknown): void {
  if (errorCode(error) !== 'EEXIST') throw error
}

/** Null where there is no directory; a symbolic link is not followed. */
function deviceOf(directory: string): number | null {
  try {
    const found = lstatSync(directory, { throwIfNoEntry: false })
    return found?.isDirectory() === true ? found.dev : null
  } catch {
    return null // A look at the resource itself reports why.
  }
}

/** The fifth field of each line (proc(5)), in which spaces and backslashes are octal. */
function listMounts(): readonly string[] {
  try {
    const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
    return lines.map((line) => unescape(line.split(' ')[4] ?? ''))
  } catch {
    return [] // Only Linux has it; elsewhere the devices have to do.
  }
}

function unescape(point: string): string {
  return point.replace(/\\(?<octal>[0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}
