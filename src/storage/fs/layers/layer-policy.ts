/**
 * Decides when a patch becomes a layer, when a file with layers is rebuilt, and when it has too
 * many layers.
 */

import { rangeCount } from './layer-index.ts'
import type { LayerIndex } from './layer-index.ts'

/**
 * How a finished file is changed: the options about patches of `FsStorageOptions`, with their
 * defaults applied.
 */
export interface PatchPolicy {
  readonly patch: 'copy' | 'layers'
  /** Size in bytes below which a file is copied all the same. */
  readonly layersAbove: number
  /** Milliseconds without a patch after which a file with layers is rebuilt. */
  readonly rebuildAfter: number
  /** Largest number of bytes per second that a rebuild copies. */
  readonly rebuildRate: number
}

/**
 * Part of the file beyond which a patch copies it. A rebuild would have to copy as much soon after.
 */
const LARGEST_PATCH = 1 / 4
/** Bytes up to which a patch is a layer, however small the file is. */
const SMALL_PATCH = 1024 * 1024

/**
 * A file is rebuilt without waiting for the end of the patches when its layers hold this part of
 * its bytes, or when there are this many layers or ranges.
 */
const REBUILD_PART = 1 / 4
const REBUILD_LAYERS = 24
const REBUILD_RANGES = 20_000

/**
 * When the layers hold more than this part of the file, and more than this number of bytes, the
 * next commit copies the file. That slows down clients that patch faster than the rebuild works,
 * and bounds the disk space of layers.
 */
const COPY_PART = 1 / 2
const COPY_BYTES = 64 * 1024 * 1024
/**
 * Numbers of layers and ranges from which on the next commit copies the file too. A reader opens
 * each layer and holds each range in memory.
 */
const COPY_LAYERS = 48
const COPY_RANGES = 100_000

/**
 * Returns whether a patch should copy the file of `size` bytes, because it has written `written`
 * bytes in `count` ranges and is about to write `length` bytes more.
 */
export function isLargePatch(
  { written, count }: { readonly written: number; readonly count: number },
  length: number,
  size: number,
): boolean {
  return written + length > Math.max(SMALL_PATCH, size * LARGEST_PATCH) || count >= COPY_RANGES
}

/**
 * Returns whether a file of `size` bytes should be rebuilt without waiting until no more patches
 * come.
 */
export function isRebuildDue(layers: readonly LayerIndex[], size: number): boolean {
  const { bytes, ranges } = totalOf(layers)
  const isLarge = bytes >= Math.max(SMALL_PATCH, size * REBUILD_PART)
  return isLarge || layers.length >= REBUILD_LAYERS || ranges >= REBUILD_RANGES
}

/**
 * Returns whether the next patch should copy a file of `size` bytes, because it has too many
 * layers.
 */
export function hasTooManyLayers(layers: readonly LayerIndex[], size: number): boolean {
  const { bytes, ranges } = totalOf(layers)
  const isLarge = bytes > Math.max(COPY_BYTES, size * COPY_PART)
  return isLarge || layers.length >= COPY_LAYERS || ranges >= COPY_RANGES
}

/** Returns the bytes and the ranges of all layers together. */
function totalOf(layers: readonly LayerIndex[]): { bytes: number; ranges: number } {
  const bytes = layers.reduce((sum, { dataLength }) => sum + dataLength, 0)
  const ranges = layers.reduce((sum, layer) => sum + rangeCount(layer), 0)
  return { bytes, ranges }
}
