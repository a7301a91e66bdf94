/**
 * The directory of a store, with the state that all storages on it share in this process: leases,
 * open files, the flusher, the rebuilds and the sweep. Two storages on one directory must share
 * them, because they write to the same files.
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
import type { FsResource, Shared } from './resource.ts'
import { LEASE_LIFE, OwnerLease } from './owner-lease.ts'
import { Watch } from './lock/liveness.ts'
import { Rebuilds } from './layers/rebuild-schedule.ts'
import { listIncomplete, sweep } from './sweep.ts'
import { OpenFileCache } from './open-files.ts'

/** The directory of one or more storages. */
export class StoreDirectory implements Shared {
  readonly leases = new Leases()
  readonly openFiles = new OpenFileCache()
  readonly flusher = new Flusher()
  readonly rebuilds = new Rebuilds()
  readonly layersToRemove = new KeptLayers(this.leases)
  readonly #directory: string
  readonly #watch = new Watch(LEASE_LIFE)
  readonly #mountTable = new MountTable()
  /**
   * The directories of file systems that are mounted below the directory, by their mount points.
   */
  readonly #mounts = new Map<string, Folders>()
  #folders: Promise<Folders> | null = null
  /** Whether the directory has existed since this process started. */
  #wasThere = false
  #isSwept = false
  readonly #onSwept: (() => void)[] = []

  constructor(directory: string) {
    this.#directory = directory
  }

  /**
   * Returns the directories, and creates those that do not exist at the first call. A directory
   * that has existed before is not created again: its disk may be unmounted, and uploads would land
   * on the disk below the mount point.
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
   * Calls `listener` after the first sweep. The sweep begins with the first use of the store,
   * because a storage that is never used must not create its directory.
   */
  whenSwept(listener: () => void): void {
    if (this.#isSwept) listener()
    else this.#onSwept.push(listener)
  }

  /**
   * Returns the paths of a key. A resource below a mount point is staged below that mount point,
   * because a rename can't move a file to another file system.
   */
  async pathsOf(key: string): Promise<ResourcePaths> {
    const folders = await this.folders()
    const paths = pathsOf(folders, key)
    const mount = this.#mountTable.nearest(folders.root, paths.parents)
    return mount === null ? paths : pathsOf(this.#foldersOf(folders, mount), key)
  }

  /** Returns the resource of a key, for a storage with these options. */
  async resourceOf(
    key: string,
    { fsync, policy }: Pick<FsResource, 'fsync' | 'policy'>,
  ): Promise<FsResource> {
    const { leases, openFiles, flusher, rebuilds, layersToRemove } = this
    const paths = await this.pathsOf(key)
    const assertThere = () => this.assertThere(paths)
    return {
      paths,
      fsync,
      policy,
      leases,
      openFiles,
      flusher,
      rebuilds,
      layersToRemove,
      assertThere,
    }
  }

  /**
   * Creates the staging directory of a mount before the first change below it. The note about the
   * mount comes first, so that no crash leaves a staging directory that the next process does not
   * know.
   */
  async makeStaging({ root, staging, ownerLease }: Folders): Promise<void> {
    const { staging: own } = await this.folders()
    if (staging === own || existsSync(staging)) return
    await noteMount(own, dirname(staging))
    await createStaging({ root, staging, ownerLease })
  }

  /**
   * Returns the directories of the store, and of all mounts below it that have a staging directory.
   */
  async allFolders(): Promise<readonly Folders[]> {
    const folders = await this.folders()
    const mounts = await notedMounts(folders.staging)
    const staged = mounts.filter((mount) => existsSync(join(mount, STAGING)))
    return [folders, ...staged.map((mount) => this.#foldersOf(folders, mount))]
  }

  /**
   * Throws if the directory does not exist, so that an unmounted disk is not reported as an empty
   * store.
   */
  async assertThere({ root }: Folders): Promise<void> {
    try {
      await stat(root)
    } catch (error) {
      this.#folders = null
      throw error
    }
  }

  async #prepare(): Promise<Folders> {
    // The directory is created at the first start only. If it has existed and is missing now, its
    // disk was unmounted, and a new directory on the disk below must not take its place.
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

  /**
   * Returns the directories below a mount point, and sweeps its staging directory at the first
   * call.
   */
  #foldersOf({ root }: Folders, mount: string): Folders {
    const known = this.#mounts.get(mount)
    if (known !== undefined) return known
    const folders = this.#stagingIn(root, mount)
    this.#mounts.set(mount, folders)
    void this.#sweepInBackground(folders)
    return folders
  }

  /** Creates the description of a staging directory below `directory`. */
  #stagingIn(root: string, directory: string): Folders {
    const staging = join(directory, STAGING)
    return { root, staging, ownerLease: new OwnerLease(staging, () => !this.leases.isEmpty) }
  }

  /** Sweeps a staging directory. Best effort, because a leftover does no harm but takes room. */
  #sweepInBackground(folders: Folders): Promise<void> {
    return this.#sweep(folders).catch(() => {})
  }

  /**
   * Sweeps a staging directory, and again after the lives of the leases that could not be decided.
   */
  async #sweep(folders: Folders): Promise<void> {
    await this.#flushLeftovers(folders).catch(() => {})
    const { leases, layersToRemove } = this
    if ((await sweep(folders, leases, layersToRemove, this.#watch)) === 'done') return
    setTimeout(() => void this.#sweepInBackground(folders), LEASE_LIFE + 1000).unref()
  }

  /**
   * Schedules a flush of each upload. A process that has died may have left the last bytes of an
   * upload only in the page cache.
   */
  async #flushLeftovers(folders: Folders): Promise<void> {
    for await (const key of listIncomplete(folders)) {
      const paths = pathsOf(folders, key)
      const record = await loadRecord(paths)
      if (record !== null && record.pageCache !== '') this.flusher.touch(paths, record.data)
    }
  }
}

const DIRECTORIES = new Map<string, WeakRef<StoreDirectory>>()

/**
 * Returns the store directory at an absolute path: the same object for all storages of this
 * process, even if they name it through different symbolic links. It is freed with the last
 * storage.
 */
export function storeDirectoryOf(directory: string): StoreDirectory {
  const path = canonicalPath(directory)
  const root = DIRECTORIES.get(path)?.deref() ?? new StoreDirectory(directory)
  DIRECTORIES.set(path, new WeakRef(root))
  return root
}

/** Resolves the symbolic links in a path whose last segments may not exist yet. */
function canonicalPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return join(canonicalPath(dirname(path)), basename(path))
  }
}

/** Creates a directory and those above it, and makes their names durable. */
async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true })
  if (first === undefined) return
  const parents: string[] = []
  for (let made = path; made.length >= first.length; made = dirname(made))
    parents.push(dirname(made))
  // Best effort: this process may not be allowed to open a directory of another user.
  await Promise.allSettled(parents.map(sync))
}
