/**
 * Keeps layers that no version needs for an hour before they are removed: those that were merged into another
 * one, and those whose file another program has replaced. They are kept because a record that names a missing
 * layer makes its resource unreadable, and because an earlier record may come back: from a backup that was
 * made meanwhile, or, without fsyncs, after a power cut. Once the file below the layers was replaced, no record
 * that comes back leads to them, so that they are removed at once.
 */

import { utimes } from 'node:fs/promises'
import { discard } from '../commit.ts'
import type { Leases } from '../leases.ts'
import { stagedPath } from '../paths.ts'
import type { Folders, ResourcePaths } from '../paths.ts'
import { loadRecord } from '../record.ts'
import type { LayersToRemove } from '../resource.ts'
import { sweepRecord } from '../sweep.ts'

/** Milliseconds for which a layer is kept. */
const KEPT_MS = 3_600_000
/** Layers that are kept at most. They have 64 KiB each in most cases. */
const MOST_KEPT = 1000

interface Kept {
  readonly folders: Folders
  readonly hash: string
  readonly name: string
  readonly until: number
}

/** The layers that this process has to remove: its own, and those that a sweep has found. */
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
      // A sweep goes by the time of the file, which was written long before it was merged.
      void utimes(stagedPath(paths, name), now, now).catch(() => {})
      this.#keep(paths, paths.hash, name, KEPT_MS)
    }
    const excess = this.#kept.splice(0, Math.max(0, this.#kept.length - MOST_KEPT))
    if (excess.length > 0) void this.#remove(excess)
    this.#wait()
  }

  adopt(folders: Folders, hash: string, name: string, age: number): void {
    // The next start finds the others.
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

  /** Removes layers, and first a record that names them, if another program has replaced the file. */
  async #remove(old: readonly Kept[]): Promise<void> {
    const folders = new Map(old.map((kept) => [kept.hash, kept.folders]))
    for (const [hash, each] of folders) await sweepRecord(each, this.#leases, hash).catch(() => {})
    await removeUnnamed(old)
  }
}

/** Removes layers, except those to which the record refers. Best effort, because a sweep follows. */
async function removeUnnamed(layers: readonly Kept[]): Promise<void> {
  for (const { folders, hash, name } of layers) {
    const path = stagedPath(folders, `${hash}.json`)
    const record = await loadRecord({ record: path }).catch(() => undefined)
    if (record === undefined || record?.overlay?.layers.includes(name) === true) continue
    await discard(stagedPath(folders, name))
  }
}
