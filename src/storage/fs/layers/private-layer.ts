/**
 * The layer that a writer builds: a staged file to which no record refers before the commit. At the
 * commit it absorbs small layers below it. Each remaining layer is about twice as large as the one
 * above it, so that the number of layers grows with the logarithm of the number of patches.
 */

import type { FileHandle } from 'node:fs/promises'
import { discard } from '../commit.ts'
import { RENEWAL_PERIOD, renewTime } from '../file-times.ts'
import { readFully, writeAll, totalLength } from '../io.ts'
import { createLayer, sealLayer } from './layer-file.ts'
import type { OpenLayer } from './layer-file.ts'
import { createIndex, formatIndex } from './layer-index.ts'
import type { LayerIndex, Range } from './layer-index.ts'
import { LayeredFile } from './layered-file.ts'
import { OwnRanges } from './own-ranges.ts'
import { stagedPath } from '../paths.ts'
import type { ResourcePaths } from '../paths.ts'
import { BASE, ZEROS, baseView, cover, piecesIn } from './view.ts'

/**
 * Bytes up to which a layer below is always absorbed. The fsync of the new layer costs more than
 * these bytes.
 */
const SMALL_LAYER = 64 * 1024
/** Largest number of bytes that one commit merges. They are held in memory. */
const LARGEST_MERGE = 16 * 1024 * 1024
/** A layer below is absorbed if it is at most this many times as large as all layers above it. */
const FACTOR = 2

/** A complete layer file, and the names of the layers whose ranges it contains. */
export interface SealedLayer extends OpenLayer {
  readonly absorbed: readonly string[]
}

/**
 * Collects in a layer file the changes that one writer makes to a version. The files of that
 * version stay open until the writer ends.
 */
export class PrivateLayer {
  readonly name: string
  readonly file: FileHandle
  readonly #paths: ResourcePaths
  readonly #below: LayeredFile
  readonly #ranges: OwnRanges
  readonly #timer: NodeJS.Timeout
  /** Number of bytes of data in the file. */
  #length = 0

  private constructor(
    paths: ResourcePaths,
    below: LayeredFile,
    { name, file }: { readonly name: string; readonly file: FileHandle },
  ) {
    this.name = name
    this.file = file
    this.#paths = paths
    this.#below = below
    this.#ranges = new OwnRanges(below.view.size)
    this.#timer = setInterval(() => renewTime(file), RENEWAL_PERIOD).unref()
  }

  /** Creates an empty layer over the version `below`. */
  static async create(paths: ResourcePaths, below: LayeredFile): Promise<PrivateLayer> {
    return new PrivateLayer(paths, below, await createLayer(paths))
  }

  /** Size of the version with the changes, in bytes. */
  get size(): number {
    return this.#ranges.size
  }

  /** Number of bytes that were written so far, including bytes that were replaced later. */
  get written(): number {
    return this.#length
  }

  /** Number of ranges in the layer. */
  get count(): number {
    return this.#ranges.count
  }

  /**
   * Appends the bytes to the layer file, and notes that they replace the bytes of the version from
   * `position` on.
   */
  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    const length = totalLength(chunks)
    await writeAll(this.file, this.#length, chunks)
    this.#ranges.write(position, length, this.#length)
    this.#length += length
  }

  /** Truncates the version to `size` bytes. The layer file stays as it is. */
  truncate(size: number): void {
    this.#ranges.truncate(size)
  }

  /**
   * Returns the version with the changes so far. It reads the file of this layer and the files of
   * the version below, which stay open.
   */
  changed(): LayeredFile {
    const { view, base, layers } = this.#below
    const index = this.index()
    const own = { name: this.name, file: this.file, index }
    return new LayeredFile(cover(view, index, layers.length + 1), base, [...layers, own])
  }

  /** Returns the index of the changes so far. */
  index(): LayerIndex {
    return this.#ranges.toIndex(this.#length)
  }

  /**
   * Completes the layer file. If small layers below are absorbed, another file is written, with
   * their bytes and those of this layer.
   */
  async seal(): Promise<SealedLayer> {
    const index = this.index()
    const own = { name: this.name, file: this.file, index }
    const small = smallLayers(this.#below.layers, dataSize(index))
    if (small.length > 0) return merge(this.#paths, [...small, own])
    await this.file.truncate(this.#length)
    await sealLayer(this.file, index)
    return { ...own, absorbed: [] }
  }

  /** Closes the file, which keeps its name in the staging directory. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.file.close()
  }
}

/** Returns the bytes that a layer occupies on the disk, about. */
function dataSize({ dataLength, ranges }: LayerIndex): number {
  return dataLength + ranges.byteLength
}

/** Returns the newest layers that a layer of `size` bytes absorbs, the oldest of them first. */
function smallLayers(layers: readonly OpenLayer[], size: number): readonly OpenLayer[] {
  let sum = size
  let first = layers.length
  while (first > 0) {
    const layer = layers[first - 1]
    if (layer === undefined) break
    const bytes = dataSize(layer.index)
    if (bytes > Math.max(FACTOR * sum, SMALL_LAYER) || sum + bytes > LARGEST_MERGE) break
    sum += bytes
    first -= 1
  }
  return layers.slice(first)
}

/**
 * Writes a layer that has the same effect as all of `layers`, the oldest first. Its ranges are
 * those that newer ones have not replaced. It keeps as many bytes of the version below as the layer
 * that keeps the fewest. The new layer may also lie over a version that already includes some of
 * these layers, as after a rebuild: it writes their ranges a second time.
 */
async function merge(paths: ResourcePaths, layers: readonly OpenLayer[]): Promise<SealedLayer> {
  const keep = Math.min(...layers.map(({ index }) => index.keep))
  const view = layers.reduce(
    (below, { index }, number) => cover(below, index, number + 1),
    baseView(keep),
  )
  const data = await Promise.all(layers.map(readData))
  const ranges: Range[] = []
  const parts: Uint8Array[] = []
  let length = 0
  for (const { start, end, at, source } of piecesIn(view, 0, view.size)) {
    const bytes = data[source - 1]
    if (source === BASE || source === ZEROS || bytes === undefined) continue
    ranges.push({ start, end, at: length })
    parts.push(bytes.subarray(at, at + end - start))
    length += end - start
  }
  const index = createIndex(length, keep, view.size, ranges)
  const { name, file } = await createLayer(paths)
  try {
    await writeAll(file, 0, [Buffer.concat([...parts, formatIndex(index)])])
  } catch (error) {
    await file.close()
    await discard(stagedPath(paths, name))
    throw error
  }
  return { name, file, index, absorbed: layers.slice(0, -1).map((layer) => layer.name) }
}

/** Reads all data of a layer. */
async function readData({ file, index }: OpenLayer): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(index.dataLength)
  await readFully(file, bytes, 0)
  return bytes
}
