/** Reads a finished version through its layers, as if it were one file. */

import type { FileHandle } from 'node:fs/promises'
import { ByteCache } from './byte-cache.ts'
import { openLayer } from './layer-file.ts'
import type { OpenLayer } from './layer-file.ts'
import { readFully } from '../io.ts'
import type { ReadableFile } from '../io.ts'
import type { Folders } from '../paths.ts'
import { BASE, ZEROS, piecesIn, viewOf } from './view.ts'
import type { Piece, View } from './view.ts'

/**
 * Memory of all kept views together, in bytes. Many small reads of one version would otherwise
 * build its view each time.
 */
const CACHE_SIZE = 16 * 1024 * 1024
/** Bytes of one piece in the arrays of a view: two floats of 64 bits and an integer of 32 bits. */
const BYTES_PER_PIECE = 20

const VIEWS = new ByteCache<View>(CACHE_SIZE)

/**
 * Largest number of bytes between two pieces of a layer that one call reads together. To read some
 * bytes that are not needed costs less than another call.
 */
const LARGEST_GAP = 4096

/**
 * Thrown when a layer that the record names does not exist: it was merged meanwhile, or it is lost.
 */
export class MissingLayerError extends Error {
  constructor() {
    super('a layer of the resource is missing from the staging directory')
  }
}

/** A version that consists of several files. None of them changes while it is open. */
export class LayeredFile implements ReadableFile {
  readonly view: View
  /** The file below the layers. */
  readonly base: FileHandle
  /** The layers, the oldest first. */
  readonly layers: readonly OpenLayer[]
  /** All files, in the order of the source numbers of the view. */
  readonly #files: readonly FileHandle[]

  constructor(view: View, base: FileHandle, layers: readonly OpenLayer[]) {
    this.view = view
    this.base = base
    this.layers = layers
    this.#files = [base, ...layers.map(({ file }) => file)]
  }

  /**
   * Reads bytes of the version, by one call for each run of neighbouring pieces, all at the same
   * time.
   */
  async read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }> {
    const end = Math.min(position + length, this.view.size)
    const target = buffer.subarray(offset, offset + Math.max(0, end - position))
    const pieces = [...piecesIn(this.view, position, end)]
    const runs = runsOf(pieces)
    await Promise.all(runs.map((run) => this.#readRun(run, target, position, runs.length === 1)))
    for (const { start, end: until, source } of pieces) {
      if (source === ZEROS) target.fill(0, start - position, until - position)
    }
    return { bytesRead: target.length }
  }

  /**
   * Reads the pieces of one run by one call, and copies each to its place in the target. A read
   * that consists of one piece goes into the target without a copy.
   */
  async #readRun(run: Run, target: Uint8Array, position: number, isAlone: boolean): Promise<void> {
    const file = this.#files[run.source]
    if (file === undefined) throw new Error('a version refers to a layer that it does not have')
    const [only] = run.pieces
    if (isAlone && run.pieces.length === 1 && only !== undefined) {
      const from = only.start - position
      await readFully(file, target.subarray(from, from + run.end - run.at), run.at)
      return
    }
    const bytes = Buffer.allocUnsafe(run.end - run.at)
    await readFully(file, bytes, run.at)
    for (const { start, end, at } of run.pieces) {
      target.set(bytes.subarray(at - run.at, at - run.at + end - start), start - position)
    }
  }

  /** Closes all files. */
  async close(): Promise<void> {
    await closeAll(this.#files)
  }
}

/** Neighbouring pieces of one file, which one call reads. */
interface Run {
  readonly source: number
  readonly at: number
  end: number
  readonly pieces: Piece[]
}

/**
 * Groups the pieces of each layer that lie near each other into runs. All pieces of the file below
 * form one run, however far apart they are: the layers cover the bytes between them, and are small.
 */
function runsOf(pieces: readonly Piece[]): readonly Run[] {
  const runs: Run[] = []
  const last = new Map<number, Run>()
  for (const piece of pieces) {
    const { source, at, start, end } = piece
    if (source === ZEROS) continue
    const run = last.get(source)
    const gap = run === undefined ? Infinity : at - run.end
    if (run !== undefined && gap >= 0 && (source === BASE || gap <= LARGEST_GAP)) {
      run.pieces.push(piece)
      run.end = at + end - start
      continue
    }
    const next = { source, at, end: at + end - start, pieces: [piece] }
    runs.push(next)
    last.set(source, next)
  }
  return runs
}

/**
 * Opens the layers of a version over `base`, a file of `baseSize` bytes. If that fails, `base`
 * stays open.
 *
 * @throws MissingLayerError when a layer does not exist.
 */
export async function openThroughLayers(
  folders: Folders,
  base: FileHandle,
  baseSize: number,
  names: readonly string[],
): Promise<LayeredFile> {
  const layers = await openLayers(folders, names)
  const key = `${baseSize} ${names.join(' ')}`
  const indexes = layers.map(({ index }) => index)
  const view = VIEWS.get(key) ?? viewOf(baseSize, indexes)
  VIEWS.set(key, view, view.starts.length * BYTES_PER_PIECE)
  return new LayeredFile(view, base, layers)
}

/**
 * Opens layers, all or none of them.
 *
 * @throws MissingLayerError when a layer does not exist.
 */
async function openLayers(
  folders: Folders,
  names: readonly string[],
): Promise<readonly OpenLayer[]> {
  const outcomes = await Promise.allSettled(names.map((name) => openLayer(folders, name)))
  const layers = outcomes.flatMap((outcome) =>
    outcome.status === 'fulfilled' && outcome.value !== null ? [outcome.value] : [],
  )
  if (layers.length === names.length) return layers
  await closeAll(layers.map(({ file }) => file))
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  throw new MissingLayerError()
}

/** Closes all files, even if one of them fails to close. */
async function closeAll(files: readonly ReadableFile[]): Promise<void> {
  const outcomes = await Promise.allSettled(files.map((file) => file.close()))
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
}
