/**
 * Keeps layers for an hour after they were merged into another one. Nothing needs them, as far as is known.
 * They are kept because a record that names a missing layer makes its resource unreadable, and because an
 * earlier record may come back: from a backup that was made meanwhile, or, without fsyncs, after a power cut.
 */

import { utimes } from 'node:fs/promises'
import { discard } from '../commit.ts'
import { stagedPath } from '../paths.ts'
import type { ResourcePaths } from '../paths.ts'
import { loadRecord } from '../record.ts'
import type { AbsorbedLayers } from '../resource.ts'

/** Milliseconds for which a merged layer is kept. */
const KEPT_MS = 3_600_000
/** Layers that are kept at most. They have 64 KiB each in most cases. */
const MOST_KEPT = 1000

interface Kept {
  readonly paths: ResourcePaths
  readonly name: string
  readonly until: number
}

/** The merged layers that this process has to remove. Those of a process that has died are swept. */
export class MergedLayers implements AbsorbedLayers {
  #kept: Kept[] = []
  #timer: NodeJS.Timeout | null = null

  add(paths: ResourcePaths, names: readonly string[]): void {
    const now = new Date()
    for (const name of names) {
      // A sweep goes by the time of the file, which was written long before it was merged.
      void utimes(stagedPath(paths, name), now, now).catch(() => {})
      this.#kept.push({ paths, name, until: performance.now() + KEPT_MS })
    }
    const excess = this.#kept.splice(0, Math.max(0, this.#kept.length - MOST_KEPT))
    if (excess.length > 0) void removeUnnamed(excess)
    this.#wait()
  }

  /** Removes those of one resource, after a rebuild has made them useless. */
  async removeOf({ hash }: ResourcePaths): Promise<void> {
    const own = this.#kept.filter(({ paths }) => paths.hash === hash)
    this.#kept = this.#kept.filter(({ paths }) => paths.hash !== hash)
    await removeUnnamed(own)
  }

  #wait(): void {
    const [oldest] = this.#kept
    if (this.#timer !== null || oldest === undefined) return
    const delay = Math.max(0, oldest.until - performance.now())
    this.#timer = setTimeout(() => void this.#removeOld(), delay).unref()
  }

  async #removeOld(): Promise<void> {
    const now = performance.now()
    const old = this.#kept.filter(({ until }) => until <= now)
    this.#kept = this.#kept.filter(({ until }) => until > now)
    await removeUnnamed(old)
    this.#timer = null
    this.#wait()
  }
}

/** Removes layers, except those to which the record refers again. Best effort, because a sweep follows. */
async function removeUnnamed(layers: readonly Kept[]): Promise<void> {
  for (const { paths, name } of layers) {
    const record = await loadRecord(paths).catch(() => undefined)
    if (record === undefined || record?.overlay?.layers.includes(name) === true) continue
    await discard(stagedPath(paths, name))
  }
}
