/** The folder of a store: made once, found again, and what all stores on it share in this process. */

import { existsSync, realpathSync } from 'node:fs'
import { mkdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Flusher } from './flusher.ts'
import { Leases } from './leases.ts'
import { sync } from './io.ts'
import { MountTable, noteMount, notedMounts } from './mounts.ts'
import { STAGING, createStaging, pathsOf } from './paths.ts'
import type { Folders, ResourcePaths } from './paths.ts'
import { loadRecord } from './record.ts'
import type { Shared } from './resource.ts'
import { LEASE_LIFE, OwnerLease } from './owner-lease.ts'
import { Watch } from './lock/liveness.ts'
import { listIncomplete, sweep } from './sweep.ts'
import { OpenFileCache } from './open-files.ts'

/** The folder of one or more stores. */
export class StoreDirectory implements Shared {
  readonly leases = new Leases()
  readonly openFiles = new OpenFileCache()
  readonly flusher = new Flusher()
  readonly #directory: string
  readonly #watch = new Watch(LEASE_LIFE)
  readonly #mountTable = new MountTable()
  /** The folders of the mounts below the directory. */
  readonly #mounts = new Map<string, Folders>()
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

  /** The paths of a key. What is below a mount is staged there: no rename leaves a file system. */
  async pathsOf(key: string): Promise<ResourcePaths> {
    const folders = await this.folders()
    const paths = pathsOf(folders, key)
    const mount = this.#mountTable.nearest(folders.root, paths.parents)
    return mount === null ? paths : pathsOf(this.#foldersOf(folders, mount), key)
  }

  /** Sees to it that there is a staging directory for a change. */
  async makeStaging({ root, staging, ownerLease }: Folders): Promise<void> {
    const { staging: own } = await this.folders()
    if (staging === own || existsSync(staging)) return
    await noteMount(own, dirname(staging))
    await createStaging({ root, staging, ownerLease })
  }

  /** The folders of the directory and of all mounts below it that have a staging directory. */
  async allFolders(): Promise<readonly Folders[]> {
    const folders = await this.folders()
    const mounts = await notedMounts(folders.staging)
    const staged = mounts.filter((mount) => existsSync(join(mount, STAGING)))
    return [folders, ...staged.map((mount) => this.#foldersOf(folders, mount))]
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
    const folders = this.#stagingIn(root, root)
    await createStaging(folders)
    this.#wasThere = true
    this.#sweepInBackground(folders)
    for (const mount of await notedMounts(folders.staging)) this.#foldersOf(folders, mount)
    return folders
  }

  #foldersOf({ root }: Folders, mount: string): Folders {
    const known = this.#mounts.get(mount)
    if (known !== undefined) return known
    const folders = this.#stagingIn(root, mount)
    this.#mounts.set(mount, folders)
    this.#sweepInBackground(folders)
    return folders
  }

  #stagingIn(root: string, directory: string): Folders {
    const staging = join(directory, STAGING)
    return { root, staging, ownerLease: new OwnerLease(staging, () => !this.leases.isEmpty) }
  }

  /** Best effort: what can't be removed does no harm. */
  #sweepInBackground(folders: Folders): void {
    void this.#sweep(folders).catch(() => {})
  }

  async #sweep(folders: Folders): Promise<void> {
    await this.#flushLeftovers(folders).catch(() => {})
    if ((await sweep(folders, this.leases, this.#watch)) === 'done') return
    setTimeout(() => this.#sweepInBackground(folders), LEASE_LIFE + 1000).unref()
  }

  /** Sees to it that bytes which a process had received before it died become durable. */
  async #flushLeftovers(folders: Folders): Promise<void> {
    for await (const key of listIncomplete(folders)) {
      const paths = pathsOf(folders, key)
      const record = await loadRecord(paths)
      if (record !== null && record.pageCache !== '') this.flusher.touch(paths, record.data)
    }
  }
}

const DIRECTORIES = new Map<string, WeakRef<StoreDirectory>>()

/** The folder at an absolute path: one object for all stores of this process. */
export function storeDirectoryOf(directory: string): StoreDirectory {
  const path = canonicalPath(directory)
  const root = DIRECTORIES.get(path)?.deref() ?? new StoreDirectory(directory)
  DIRECTORIES.set(path, new WeakRef(root))
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
