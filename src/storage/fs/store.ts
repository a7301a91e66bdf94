/**
 * The directory of a store, with what all stores on it share in this process: leases, open files, the flusher
 * and the sweep. Two stores on one directory must share them, because they write to the same files.
 */

import { existsSync, realpathSync } from 'node:fs'
import { mkdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Flusher } from './flusher.ts'
import { Leases } from './leases.ts'
import { sync } from './io.ts'
import { KeptLayers } from './layers/kept-layers.ts'
import { MountTable, noteMount, notedMounts } from './mounts.ts'
import { STAGING, createStaging, pathsOf } from './paths.ts'
import type { Folders, ResourcePaths } from './paths.ts'
import { loadRecord } from './record.ts'
import type { Shared } from './resource.ts'
import { LEASE_LIFE, OwnerLease } from './owner-lease.ts'
import { Watch } from './lock/liveness.ts'
import { Rebuilds } from './layers/rebuild-schedule.ts'
import { listIncomplete, sweep } from './sweep.ts'
import { OpenFileCache } from './open-files.ts'

/** The directory of one or more stores. */
export class StoreDirectory implements Shared {
  readonly leases = new Leases()
  readonly openFiles = new OpenFileCache()
  readonly flusher = new Flusher()
  readonly rebuilds = new Rebuilds()
  readonly layersToRemove = new KeptLayers(this.leases)
  readonly #directory: string
  readonly #watch = new Watch(LEASE_LIFE)
  readonly #mountTable = new MountTable()
  /** The staging directories of mounts below the directory, by the mount point. */
  readonly #mounts = new Map<string, Folders>()
  #folders: Promise<Folders> | null = null
  #wasThere = false
  #isSwept = false
  readonly #onSwept: (() => void)[] = []

  constructor(directory: string) {
    this.#directory = directory
  }

  /**
   * Returns the directories, and creates missing ones at the first call. A directory that existed before is
   * not created again, because its disk may be unmounted.
   */
  async folders(): Promise<Folders> {
    this.#folders ??= this.#prepare()
    try {
      return await this.#folders
    } catch (error) {
      this.#folders = null
      throw error
    }
  }

  /** Whether the directory has been used, by this process or an earlier one. */
  get exists(): boolean {
    return existsSync(join(this.#directory, STAGING))
  }

  /**
   * Calls `listener` after the first sweep. That runs when the directory is used, because a store that is not
   * used must not create it.
   */
  whenSwept(listener: () => void): void {
    if (this.#isSwept) listener()
    else this.#onSwept.push(listener)
  }

  /** The paths of a key. A key below a mount is staged there, because a rename can't cross its border. */
  async pathsOf(key: string): Promise<ResourcePaths> {
    const folders = await this.folders()
    const paths = pathsOf(folders, key)
    const mount = this.#mountTable.nearest(folders.root, paths.parents)
    return mount === null ? paths : pathsOf(this.#foldersOf(folders, mount), key)
  }

  /** Creates the staging directory of a mount before the first change below it. */
  async makeStaging({ root, staging, ownerLease }: Folders): Promise<void> {
    const { staging: own } = await this.folders()
    if (staging === own || existsSync(staging)) return
    await noteMount(own, dirname(staging))
    await createStaging({ root, staging, ownerLease })
  }

  /** The directories of the store, and of all mounts below it that have a staging directory. */
  async allFolders(): Promise<readonly Folders[]> {
    const folders = await this.folders()
    const mounts = await notedMounts(folders.staging)
    const staged = mounts.filter((mount) => existsSync(join(mount, STAGING)))
    return [folders, ...staged.map((mount) => this.#foldersOf(folders, mount))]
  }

  /** Throws if the directory is missing, so that an unmounted disk is not reported as an empty store. */
  async assertThere({ root }: Folders): Promise<void> {
    try {
      await stat(root)
    } catch (error) {
      this.#folders = null
      throw error
    }
  }

  async #prepare(): Promise<Folders> {
    // After the disk was unmounted, a new directory on another disk must not take its place.
    if (!this.#wasThere) await makeDirectory(this.#directory)
    const root = await realpath(this.#directory)
    const folders = this.#stagingIn(root, root)
    await createStaging(folders)
    this.#wasThere = true
    const firstSweep = this.#sweepInBackground(folders)
    for (const mount of await notedMounts(folders.staging)) this.#foldersOf(folders, mount)
    void firstSweep.then(() => {
      this.#isSwept = true
      for (const listener of this.#onSwept.splice(0)) listener()
    })
    return folders
  }

  #foldersOf({ root }: Folders, mount: string): Folders {
    const known = this.#mounts.get(mount)
    if (known !== undefined) return known
    const folders = this.#stagingIn(root, mount)
    this.#mounts.set(mount, folders)
    void this.#sweepInBackground(folders)
    return folders
  }

  #stagingIn(root: string, directory: string): Folders {
    const staging = join(directory, STAGING)
    return { root, staging, ownerLease: new OwnerLease(staging, () => !this.leases.isEmpty) }
  }

  /** Sweeps leftovers. Best effort, because a leftover that stays only takes room. */
  #sweepInBackground(folders: Folders): Promise<void> {
    return this.#sweep(folders).catch(() => {})
  }

  async #sweep(folders: Folders): Promise<void> {
    await this.#flushLeftovers(folders).catch(() => {})
    const { leases, layersToRemove } = this
    if ((await sweep(folders, leases, layersToRemove, this.#watch)) === 'done') return
    setTimeout(() => void this.#sweepInBackground(folders), LEASE_LIFE + 1000).unref()
  }

  /** Schedules flushes of uploads whose last bytes a process had not flushed when it died. */
  async #flushLeftovers(folders: Folders): Promise<void> {
    for await (const key of listIncomplete(folders)) {
      const paths = pathsOf(folders, key)
      const record = await loadRecord(paths)
      if (record !== null && record.pageCache !== '') this.flusher.touch(paths, record.data)
    }
  }
}

const DIRECTORIES = new Map<string, WeakRef<StoreDirectory>>()

/** Returns the store directory at an absolute path: one object for all stores of this process. */
export function storeDirectoryOf(directory: string): StoreDirectory {
  const path = canonicalPath(directory)
  const root = DIRECTORIES.get(path)?.deref() ?? new StoreDirectory(directory)
  DIRECTORIES.set(path, new WeakRef(root))
  return root
}

/** Resolves symbolic links in a path, the end of which may not exist yet. */
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
  // Best effort: the parents belong to others, and this process may not be allowed to open them.
  await Promise.allSettled(parents.map(sync))
}
