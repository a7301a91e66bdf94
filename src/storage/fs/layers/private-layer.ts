/**
 * The layer that a writer builds: a staged file that no record refers to before the commit. At the commit it
 * takes in small layers below it, so that the number of layers grows with the logarithm of the number of
 * patches: each layer is at least twice as large as the one above it.
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

/** A layer of at most this many bytes is always merged, because the fsync costs more than its bytes. */
const SMALL_LAYER = 64 * 1024
/** Bytes that one commit merges at most, which are held in memory. */
const LARGEST_MERGE = 16 * 1024 * 1024
const FACTOR = 2

/** A complete layer file, and the layers that it replaces. */
export interface SealedLayer extends OpenLayer {
  readonly absorbed: readonly string[]
}

/** Collects the changes of one writer over a version that stays open. */
export class PrivateLayer {
  readonly name: string
  readonly file: FileHandle
  readonly #paths: ResourcePaths
  readonly #below: LayeredFile
  readonly #ranges: OwnRanges
  readonly #timer: NodeJS.Timeout
  /** Bytes of data in the file. */
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

  /** Bytes that were written. */
  get written(): number {
    return this.#length
  }

  /** The number of ranges that were written. */
  get count(): number {
    return this.#ranges.count
  }

  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    const length = totalLength(chunks)
    await writeAll(this.file, this.#length, chunks)
    this.#ranges.write(position, length, this.#length)
    this.#length += length
  }

  truncate(size: number): void {
    this.#ranges.truncate(size)
  }

  /** The version with the changes. It uses files of this layer and of the version below. */
  changed(): LayeredFile {
    const { view, base, layers } = this.#below
    const index = this.index()
    const own = { name: this.name, file: this.file, index }
    return new LayeredFile(cover(view, index, layers.length + 1), base, [...layers, own])
  }

  /** What the layer does to the version below. */
  index(): LayerIndex {
    return this.#ranges.toIndex(this.#length)
  }

  /** Completes the layer file, or writes another one that has the bytes of small layers below as well. */
  async seal(): Promise<SealedLayer> {
    const index = this.index()
    const own = { name: this.name, file: this.file, index }
    const small = smallLayers(this.#below.layers, dataSize(index))
    if (small.length > 0) return merge(this.#paths, [...small, own])
    await this.file.truncate(this.#length)
    await sealLayer(this.file, index)
    return { ...own, absorbed: [] }
  }

  /** Closes the file, which stays where it is. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.file.close()
  }
}

/** Bytes of a layer file. */
function dataSize({ dataLength, ranges }: LayerIndex): number {
  return dataLength + ranges.byteLength
}

/** The newest layers that a layer of `size` bytes takes in, the oldest first. */
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
 * Writes a layer that has the same effect as all of `layers`, the oldest first. Its ranges are those that the
 * newer ones have not replaced, and it keeps as many bytes below as the one that keeps the fewest. It can
 * therefore also lie over a version that includes some of these layers already.
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

async function readData({ file, index }: OpenLayer): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(index.dataLength)
  await readFully(file, bytes, 0)
  return bytes
}
