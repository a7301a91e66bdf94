/**
 * Creates and opens layer files. A layer never changes once a record refers to it, so that its
 * parsed index is kept by the name of the layer.
 */

import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { ByteCache } from './byte-cache.ts'
import { READ, openIfThere, readFully, writeAll } from '../io.ts'
import { TRAILER_SIZE, formatIndex, parseIndex, parseTrailer } from './layer-index.ts'
import type { LayerIndex } from './layer-index.ts'
import { inStaging, newStagedName, stagedPath } from '../paths.ts'
import type { Folders, ResourcePaths } from '../paths.ts'

/** Memory of all kept indexes together, in bytes. */
const CACHE_SIZE = 16 * 1024 * 1024

const INDEXES = new ByteCache<LayerIndex>(CACHE_SIZE)

/** A layer that is open for reading. */
export interface OpenLayer {
  readonly name: string
  readonly file: FileHandle
  readonly index: LayerIndex
}

/**
 * Opens a layer and reads its index. Returns null if the file does not exist.
 *
 * @throws Error when the file is damaged.
 */
export async function openLayer(folders: Folders, name: string): Promise<OpenLayer | null> {
  const file = await openIfThere(stagedPath(folders, name), READ)
  if (file === null) return null
  try {
    const index = INDEXES.get(name) ?? (await readIndex(file, name))
    rememberIndex(name, index)
    return { name, file, index }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Keeps an index, because the next reader of the version needs it. */
export function rememberIndex(name: string, index: LayerIndex): void {
  INDEXES.set(name, index, index.ranges.byteLength)
}

/**
 * Reads the index before the trailer at the end of the file.
 *
 * @throws Error when the file is not a layer, or its checksum does not match.
 */
async function readIndex(file: FileHandle, name: string): Promise<LayerIndex> {
  const { size } = await file.stat()
  const trailer = parseTrailer(await readBytes(file, size - TRAILER_SIZE, TRAILER_SIZE))
  if (trailer !== null) {
    const { length, crc } = trailer
    const bytes = await readBytes(file, size - TRAILER_SIZE - length, length)
    const index = parseIndex(bytes, crc, size)
    if (index !== null) return index
  }
  throw new Error(`the layer ${name} is damaged`)
}

/**
 * Reads `length` bytes from `position` on. Returns no bytes for a negative position, which results
 * from a file that is too short.
 */
async function readBytes(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  if (position < 0) return new Uint8Array()
  const bytes = Buffer.allocUnsafe(length)
  await readFully(file, bytes, position)
  return bytes
}

/** Creates an empty layer file under a random name, to which no other process writes. */
export async function createLayer(
  paths: ResourcePaths,
): Promise<{ readonly name: string; readonly file: FileHandle }> {
  const name = newStagedName(paths.hash, paths.ownerLease, 'patch')
  const file = await inStaging(paths, () => open(stagedPath(paths, name), 'wx+'))
  return { name, file }
}

/** Writes the index and the trailer behind the data, which completes the layer. */
export async function sealLayer(file: FileHandle, index: LayerIndex): Promise<void> {
  await writeAll(file, index.dataLength, [formatIndex(index)])
}
