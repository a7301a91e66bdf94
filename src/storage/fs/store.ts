/** The folder of a store: made once, found again, and what all stores on it share in this process. */

import { realpathSync } from 'node:fs'
import { mkdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Flusher } from './flusher.ts'
import { Holds } from './leases.ts'
import { sync } from './io.ts'
import { HIDDEN, makeHidden } from './paths.ts'
import type { Folders } from './paths.ts'
import type { Shared } from './resource.ts'
import { LEASE_LIFE, OwnerLease } from './owner-lease.ts'
import { Watch } from './lock/liveness.ts'
import { sweep } from './sweep.ts'
import { Uploads } from './open-files.ts'

/** The folder of one or more stores. */
export class Root implements Shared {
  readonly holds = new Holds()
  readonly uploads = new Uploads()
  readonly flusher = new Flusher()
  readonly #directory: string
  readonly #watch = new Watch(LEASE_LIFE)
  #folders: Promise<Folders> | null = null
  #wasThere = false

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Finds the folders. What is missing is made, but a folder that was there before is not made again. */
  async folders(): Promise<Folders> {
    this.#folders ??= this.#prepare()
    try {
      return await this.#folders
    } catch (error) {
      this.#folders = null
      throw error
    }
  }

  /** Throws if the folder is gone, in which case nobody can say what is in it. */
  async assertThere({ root }: Folders): Promise<void> {
    try {
      await stat(root)
    } catch (error) {
      this.#folders = null
      throw error
    }
  }

  async #prepare(): Promise<Folders> {
    // A disk that is not mounted any more must not be replaced by a folder on another one.
    if (!this.#wasThere) await makeDirectory(this.#directory)
    const root = await realpath(this.#directory)
    const hidden = join(root, HIDDEN)
    const lease = new OwnerLease(hidden, () => !this.holds.isEmpty)
    const folders = { root, hidden, lease }
    await makeHidden(folders)
    this.#wasThere = true
    // In the background, and best effort: what it can't remove does no harm.
    void this.#sweep(folders).catch(() => {})
    return folders
  }

  async #sweep(folders: Folders): Promise<void> {
    if ((await sweep(folders, this.holds, this.#watch)) === 'done') return
    const again = () => void this.#sweep(folders).catch(() => {})
    setTimeout(again, LEASE_LIFE + 1000).unref()
  }
}

const ROOTS = new Map<string, WeakRef<Root>>()

/** The folder at an absolute path: one object for all stores of this process. */
export function rootOf(directory: string): Root {
  const path = canonicalPath(directory)
  const root = ROOTS.get(path)?.deref() ?? new Root(directory)
  ROOTS.set(path, new WeakRef(root))
  return root
}

/** The path without symbolic links, also of what is not there yet. */
function canonicalPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return join(canonicalPath(dirname(path)), basename(path))
  }
}

async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true })
  if (first === undefined) return
  const parents: string[] = []
  for (let made = path; made.length >= first.length; made = dirname(made))
    parents.push(dirname(made))
  // As far as this process may: they are not the store's own.
  await Promise.allSettled(parents.map(sync))
}
