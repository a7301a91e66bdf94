/** When a patch becomes a layer, when layers are rebuilt into a file, and when they are too many. */

import { rangeCount } from './layer-index.ts'
import type { LayerIndex } from './layer-index.ts'

/** How finished resources are patched: see `FsStorageOptions`. */
export interface PatchPolicy {
  readonly patch: 'copy' | 'layers'
  /** Size of a resource in bytes, below which it is copied. */
  readonly layersAbove: number
  /** Milliseconds without a patch after which a resource is rebuilt. */
  readonly rebuildAfter: number
  /** Bytes per second that a rebuild copies at most. */
  readonly rebuildRate: number
}

/** A patch that replaces a larger part of the resource copies it, because the rebuild would cost as much. */
const LARGEST_PATCH = 1 / 4
/** A patch of at most this many bytes is a layer, however small the resource is. */
const SMALL_PATCH = 1024 * 1024

/** Layers that hold more than this part of the resource are rebuilt at once. */
const REBUILD_PART = 1 / 4
const REBUILD_LAYERS = 24
const REBUILD_RANGES = 20_000

/**
 * Layers that hold more than this part of the resource, and more than this many bytes, are replaced by a copy
 * in the next commit. That slows down clients that patch faster than the rebuild works, and bounds the room
 * that layers take.
 */
const COPY_PART = 1 / 2
const COPY_BYTES = 64 * 1024 * 1024
/** Beyond these numbers, a reader would need too many open files or too much memory. */
const COPY_LAYERS = 48
const COPY_RANGES = 100_000

/** Returns whether a patch that writes `length` more bytes should copy the resource, which has `size` bytes. */
export function isLargePatch(
  { written, count }: { readonly written: number; readonly count: number },
  length: number,
  size: number,
): boolean {
  return written + length > Math.max(SMALL_PATCH, size * LARGEST_PATCH) || count >= COPY_RANGES
}

/** Returns whether a resource of `size` bytes should be rebuilt without waiting until no more patches come. */
export function isRebuildDue(layers: readonly LayerIndex[], size: number): boolean {
  const { bytes, ranges } = totalOf(layers)
  const isLarge = bytes >= Math.max(SMALL_PATCH, size * REBUILD_PART)
  return isLarge || layers.length >= REBUILD_LAYERS || ranges >= REBUILD_RANGES
}

/** Returns whether the next patch should copy a resource of `size` bytes, because it has too many layers. */
export function hasTooManyLayers(layers: readonly LayerIndex[], size: number): boolean {
  const { bytes, ranges } = totalOf(layers)
  const isLarge = bytes > Math.max(COPY_BYTES, size * COPY_PART)
  return isLarge || layers.length >= COPY_LAYERS || ranges >= COPY_RANGES
}

function totalOf(layers: readonly LayerIndex[]): { bytes: number; ranges: number } {
  const bytes = layers.reduce((sum, { dataLength }) => sum + dataLength, 0)
  const ranges = layers.reduce((sum, layer) => sum + rangeCount(layer), 0)
  return { bytes, ranges }
}
