/**
 * Keeps layers that no version needs for an hour, and then removes them. These are layers that were
 * merged into another one, and layers whose file another program has replaced.
 *
 * A record that names a missing layer makes its resource unreadable, and an earlier record may
 * return: from a backup that was made meanwhile, or, with `fsync: 'never'`, after a power cut. Once
 * the file below the layers was replaced by a rebuild or a `PUT`, an earlier record does not match
 * the file any more, so that its layers are removed at once.
 */

import { utimes } from 'node:fs/promises'
import { discard } from '../commit.ts'
import type { Leases } from '../leases.ts'
import { stagedPath } from '../paths.ts'
import type { Folders, ResourcePaths } from '../paths.ts'
import { loadRecord } from '../record.ts'
import type { LayersToRemove } from '../resource.ts'
import { sweepRecord } from '../sweep.ts'

/** Milliseconds for which a layer is kept: one hour. */
const KEPT_MS = 3_600_000
/**
 * Largest number of layers that are kept (most are 64 KiB). Beyond it the oldest are removed before
 * their hour is over.
 */
const MOST_KEPT = 1000

/** A layer that waits for its removal. */
interface Kept {
  readonly folders: Folders
  readonly hash: string
  readonly name: string
  /** When it is removed, by `performance.now()`. */
  readonly until: number
}

/**
 * The layers that this process will remove: those of its own writers, and those that its sweep has
 * found.
 */
export class KeptLayers implements LayersToRemove {
  readonly #leases: Leases
  #kept: Kept[] = []
  #timer: NodeJS.Timeout | null = null

  constructor(leases: Leases) {
    this.#leases = leases
  }

  add(paths: ResourcePaths, names: readonly string[]): void {
    const now = new Date()
    for (const name of names) {
      // A sweep of another process judges by the time of the file, which was written long before
      // the layer was merged.
      void utimes(stagedPath(paths, name), now, now).catch(() => {})
      this.#keep(paths, paths.hash, name, KEPT_MS)
    }
    const excess = this.#kept.splice(0, Math.max(0, this.#kept.length - MOST_KEPT))
    if (excess.length > 0) void this.#remove(excess)
    this.#wait()
  }

  adopt(folders: Folders, hash: string, name: string, age: number): void {
    // Beyond the limit the next start of a process finds the layers again.
    if (this.#kept.length >= MOST_KEPT || this.#kept.some((kept) => kept.name === name)) return
    this.#keep(folders, hash, name, Math.min(KEPT_MS, KEPT_MS - age))
    this.#wait()
  }

  async removeOf({ hash }: ResourcePaths): Promise<void> {
    const own = this.#kept.filter((kept) => kept.hash === hash)
    if (own.length === 0) return
    this.#kept = this.#kept.filter((kept) => kept.hash !== hash)
    await removeUnnamed(own)
  }

  #keep(folders: Folders, hash: string, name: string, duration: number): void {
    this.#kept.push({ folders, hash, name, until: performance.now() + duration })
  }

  /** Sets the timer for the layer that is to be removed next. */
  #wait(): void {
    if (this.#timer !== null || this.#kept.length === 0) return
    const next = Math.min(...this.#kept.map(({ until }) => until))
    const delay = Math.max(0, next - performance.now())
    this.#timer = setTimeout(() => void this.#removeOld(), delay).unref()
  }

  async #removeOld(): Promise<void> {
    const now = performance.now()
    const old = this.#kept.filter(({ until }) => until <= now)
    this.#kept = this.#kept.filter(({ until }) => until > now)
    await this.#remove(old)
    this.#timer = null
    this.#wait()
  }

  /**
   * Removes layers. If another program has replaced the file, the record that still names them is
   * removed before.
   */
  async #remove(old: readonly Kept[]): Promise<void> {
    const folders = new Map(old.map((kept) => [kept.hash, kept.folders]))
    for (const [hash, each] of folders) await sweepRecord(each, this.#leases, hash).catch(() => {})
    await removeUnnamed(old)
  }
}

/**
 * Removes layers, except those to which the record refers. Best effort, because a sweep follows.
 */
async function removeUnnamed(layers: readonly Kept[]): Promise<void> {
  for (const { folders, hash, name } of layers) {
    const path = stagedPath(folders, `${hash}.json`)
    const record = await loadRecord({ record: path }).catch(() => undefined)
    if (record === undefined || record?.overlay?.layers.includes(name) === true) continue
    await discard(stagedPath(folders, name))
  }
}
