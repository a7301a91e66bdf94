/** Reads a finished version: its file alone, or its file through its layers. */

import type { FileHandle } from 'node:fs/promises'
import { ByteCache } from './byte-cache.ts'
import { openLayer } from './layer-file.ts'
import type { OpenLayer } from './layer-file.ts'
import { readFully } from '../io.ts'
import type { ReadableFile } from '../io.ts'
import type { Folders } from '../paths.ts'
import { BASE, ZEROS, piecesIn, viewOf } from './view.ts'
import type { Piece, View } from './view.ts'

/** Bytes of all views that are kept, because many small reads of one version would build its view each time. */
const CACHE_SIZE = 16 * 1024 * 1024
const BYTES_PER_PIECE = 20

const VIEWS = new ByteCache<View>(CACHE_SIZE)

/** Bytes between two pieces in a layer that are read with them rather than by a call of their own. */
const LARGEST_GAP = 4096

/** A layer that the record of a version names does not exist. */
export class MissingLayerError extends Error {
  constructor() {
    super('a layer of the resource is missing from the staging directory')
  }
}

/** A version that consists of several files, which never change. */
export class LayeredFile implements ReadableFile {
  readonly view: View
  /** The file below the layers. */
  readonly base: FileHandle
  /** The oldest first. */
  readonly layers: readonly OpenLayer[]
  /** All files, as the sources of the view are numbered. */
  readonly #files: readonly FileHandle[]

  constructor(view: View, base: FileHandle, layers: readonly OpenLayer[]) {
    this.view = view
    this.base = base
    this.layers = layers
    this.#files = [base, ...layers.map(({ file }) => file)]
  }

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

  /** Reads neighbours in one file with one call, and copies them to their places. */
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

  async close(): Promise<void> {
    await closeAll(this.#files)
  }
}

/** Pieces that one call reads. */
interface Run {
  readonly source: number
  readonly at: number
  end: number
  readonly pieces: Piece[]
}

/** Collects the pieces of each file that are near each other, the file below as one run. */
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
 * Opens the layers of a version and returns it over `base`, which has `baseSize` bytes and which stays open
 * if that fails.
 *
 * @throws MissingLayerError
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
 * Opens layers.
 *
 * @throws MissingLayerError
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
