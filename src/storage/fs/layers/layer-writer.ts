/**
 * The writer that changes a finished file by a layer (`layer-index.ts`), at a cost that depends on
 * the size of the change and not of the file. When a layer does not pay, the writer hands its
 * changes over to an `AtomicWriter`, which copies the file.
 */

import type { ResourceInfo, ResourceState, Writer } from '../../adapter.ts'
import { AtomicWriter } from '../atomic-writer.ts'
import { assertCurrent, assertStaged, discard, newRecord, replaceRecord } from '../commit.ts'
import { FileReader, totalLength } from '../io.ts'
import { rememberIndex } from './layer-file.ts'
import { rangeAt, rangeCount } from './layer-index.ts'
import { LayeredFile } from './layered-file.ts'
import { newDataName, stagedPath } from '../paths.ts'
import { PrivateLayer } from './private-layer.ts'
import type { SealedLayer } from './private-layer.ts'
import { openSource } from '../reader.ts'
import { loadRecord } from '../record.ts'
import type { FsRecord } from '../record.ts'
import { hasTooManyLayers, isLargePatch, isRebuildDue } from './layer-policy.ts'
import { durabilityOf } from '../resource.ts'
import type { DataFile, FsResource } from '../resource.ts'
import { completeInfo } from '../version-info.ts'
import type { Complete } from '../version.ts'
import { baseView } from './view.ts'
import type { WriterLease } from '../writer-lease.ts'

/** Writes a new version of a finished resource while readers see the current one. */
export class LayerWriter implements Writer {
  readonly base: ResourceInfo
  readonly transaction = 'atomic'
  readonly #resource: FsResource
  readonly #lease: WriterLease
  readonly #found: Complete
  /** The current version, open for reading, with its layers if it has any. */
  #below: LayeredFile | null = null
  /**
   * The layer that this writer builds; null before the first change, and after the changes were
   * handed over.
   */
  #layer: PrivateLayer | null = null
  /** The writer to which the changes were handed over. */
  #copying: AtomicWriter | null = null

  constructor(resource: FsResource, lease: WriterLease, found: Complete) {
    this.base = found.info
    this.#resource = resource
    this.#lease = lease
    this.#found = found
  }

  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#lease.assertActive()
    const length = totalLength(chunks)
    if (length === 0) return
    const layer = await this.#begin()
    if (layer === null || isLargePatch(layer, length, this.base.size)) {
      await (await this.#copy()).write(position, chunks)
      return
    }
    await layer.write(position, chunks)
    const { flusher } = this.#resource
    if (durabilityOf(this.#resource) === 'now') flusher.wrote(layer.name, layer.file, length)
  }

  async truncate(size: number): Promise<void> {
    this.#lease.assertActive()
    if (this.#copying !== null) return this.#copying.truncate(size)
    const current = this.#layer?.size ?? this.base.size
    if (size < 0 || size > current)
      throw new RangeError(`size ${size} must be from 0 to ${current}`)
    if (size === current) return
    const layer = await this.#begin()
    if (layer === null) await (await this.#copy()).truncate(size)
    else layer.truncate(size)
  }

  async *read(start: number, end: number): AsyncIterable<Uint8Array> {
    if (this.#copying !== null) yield* this.#copying.read(start, end)
    else if (start < end) {
      const file = this.#layer?.changed() ?? (await this.#open())
      yield* new FileReader(file, () => {}).read(start, end)
    }
  }

  /**
   * Commits the layer by one new record. If no byte was changed, or the resource is reopened, the
   * commit needs no layer, and the `AtomicWriter` makes it.
   */
  async commit(state: ResourceState): Promise<ResourceInfo> {
    this.#lease.assertActive()
    const info =
      this.#layer !== null && state.complete
        ? await this.#commitLayer(this.#layer, state)
        : await (await this.#copy()).commit(state)
    await this.#end()
    return info
  }

  /** Ends the writer like `rollback`, because an atomic write keeps no part of its bytes. */
  keep(): Promise<void> {
    return this.rollback()
  }

  /** Ends the writer, and removes its layer or its copy. */
  async rollback(): Promise<void> {
    try {
      if (this.#layer !== null) await this.#dropUnnamed(this.#layer.name)
      await this.#copying?.rollback()
    } finally {
      await this.#end()
    }
  }

  /** Creates the layer before the first change. Returns null if the changes go to a copy. */
  async #begin(): Promise<PrivateLayer | null> {
    if (this.#copying !== null) return null
    if (this.#layer !== null) return this.#layer
    const below = await this.#open()
    const indexes = below.layers.map(({ index }) => index)
    if (hasTooManyLayers(indexes, this.base.size)) return null
    this.#layer = await PrivateLayer.create(this.#resource.paths, below)
    return this.#layer
  }

  /**
   * Opens the current version. A file without layers is opened as one with an empty list of layers.
   */
  async #open(): Promise<LayeredFile> {
    if (this.#below !== null) return this.#below
    const { paths } = this.#resource
    const file = await openSource(paths, this.#found)
    const isLayered = file instanceof LayeredFile
    this.#below = isLayered ? file : new LayeredFile(baseView(this.base.size), file, [])
    return this.#below
  }

  /**
   * Creates the `AtomicWriter` that continues this write on a copy of the file, and repeats on it
   * the changes so far.
   */
  async #copy(): Promise<AtomicWriter> {
    if (this.#copying !== null) return this.#copying
    this.#copying = new AtomicWriter(this.#resource, this.#lease, this.#found, 'base')
    const layer = this.#layer
    if (layer === null) return this.#copying
    try {
      await replay(layer, this.#copying)
    } catch (error) {
      // The copy has only a part of the changes, so that a commit would publish wrong bytes.
      await this.rollback()
      throw error
    }
    this.#layer = null
    await layer.close()
    await this.#dropUnnamed(layer.name)
    return this.#copying
  }

  /**
   * Completes the layer, and writes the record that names it. The rename of the record is the point
   * of no return.
   */
  async #commitLayer(layer: PrivateLayer, state: ResourceState): Promise<ResourceInfo> {
    const { paths } = this.#resource
    const { kind, revision, overlay } = this.#found
    await assertCurrent(paths, { kind, revision, size: this.base.size })
    this.#lease.invalidateOthers()
    const sealed = await layer.seal()
    const names = overlay?.layers.filter((name) => !sealed.absorbed.includes(name)) ?? []
    try {
      const record = await this.#putRecord(state, layer.size, [...names, sealed.name], sealed)
      this.#committed(names, sealed)
      return completeInfo(record, layer.size)
    } finally {
      if (sealed.name !== layer.name) {
        await sealed.file.close()
        // Two layer files exist after a merge: the one of this write, and the merged one. The
        // record names at most one of them, depending on whether the commit has succeeded.
        await Promise.allSettled([layer, sealed].map(({ name }) => this.#dropUnnamed(name)))
      }
    }
  }

  /** Makes the layer durable, and writes the record that names it as the newest layer. */
  async #putRecord(
    state: ResourceState,
    size: number,
    layers: readonly string[],
    sealed: DataFile,
  ): Promise<FsRecord> {
    const { paths, flusher } = this.#resource
    const { stored, fingerprint, origin } = this.#found
    if (durabilityOf(this.#resource) === 'now') {
      await flusher.sync(sealed.name, sealed.file, 'data')
    }
    const data = stored?.data ?? newDataName(paths)
    const record = {
      ...newRecord(this.#resource, data, state, size),
      published: fingerprint,
      overlay: { size, origin, layers },
    }
    const isThere = () => assertStaged(paths, sealed)
    await replaceRecord(this.#resource, this.#lease, stored, record, isThere)
    return record
  }

  /**
   * Schedules the work after a commit: the rebuild of the file, and the removal of merged layers.
   */
  #committed(names: readonly string[], { name, index }: SealedLayer): void {
    rememberIndex(name, index)
    // The new record does not name these layers: they were merged into the new one, or another
    // program has replaced their file.
    const unnamed = this.#found.stored?.overlay?.layers.filter((layer) => !names.includes(layer))
    const kept = this.#below?.layers.filter((layer) => names.includes(layer.name)) ?? []
    const indexes = [...kept.map((layer) => layer.index), index]
    this.#resource.layersToRemove.add(this.#resource.paths, unnamed ?? [])
    this.#resource.rebuilds.schedule(this.#resource, isRebuildDue(indexes, this.base.size))
  }

  /**
   * Removes a layer file, unless the record refers to it. The record still does after a failed
   * commit that could not restore the old record.
   */
  async #dropUnnamed(name: string): Promise<void> {
    const { paths, flusher } = this.#resource
    const record = await loadRecord(paths)
    if (record?.overlay?.layers.includes(name) === true) return
    flusher.forget(name)
    await discard(stagedPath(paths, name))
  }

  /** Ends the lease and closes all files, even if one of them fails to close. */
  async #end(): Promise<void> {
    this.#lease.end()
    const layer = this.#layer
    const below = this.#below
    this.#layer = null
    this.#below = null
    await Promise.all([layer?.close(), below?.close()])
  }
}

/**
 * Applies the truncation and the ranges of a layer to `writer`, whose result then has the same
 * bytes.
 */
async function replay(layer: PrivateLayer, writer: AtomicWriter): Promise<void> {
  const index = layer.index()
  const file = new FileReader(layer.file, () => {})
  if (writer.base !== null && index.keep < writer.base.size) await writer.truncate(index.keep)
  // The new version may have been longer and then truncated, so that it has zeros between the kept
  // bytes and the next range, or its end. A byte at the last position makes the other file as long.
  if (index.size > index.keep) await writer.write(index.size - 1, [new Uint8Array(1)])
  for (let number = 0; number < rangeCount(index); number += 1) {
    const { start, end, at } = rangeAt(index, number)
    let position = start
    for await (const chunk of file.read(at, at + end - start)) {
      await writer.write(position, [chunk])
      position += chunk.length
    }
  }
}
