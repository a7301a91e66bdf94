/**
 * Stores resources in the memory of the process, for tests and small files. They are lost when the
 * process ends. Every key is accepted.
 */

import { UploadError } from '../errors.ts'
import type {
  OpenWriterOptions,
  Reader,
  ResourceInfo,
  ResourceState,
  StorageAdapter,
  Transaction,
  Writer,
} from './adapter.ts'
import { conflict } from './conflict.ts'
import { copyState } from './state.ts'

/** Largest number of bytes of a chunk that a reader yields. */
const READ_SIZE = 65_536

/** Creates a storage that keeps resources in a `Map`. The memory is freed with the storage. */
export function memoryStorage(): StorageAdapter {
  const versions: Versions = new Map()
  return {
    async head(key) {
      return versions.get(key)?.info ?? null
    },
    async openReader(key) {
      const version = versions.get(key)
      return version === undefined ? null : pin(version)
    },
    async openWriter(key, options) {
      return new MemoryWriter(versions, key, options)
    },
    async remove(key, { isLost } = {}) {
      assertHeld(isLost)
      return versions.delete(key)
    },
    async *listIncomplete() {
      for (const [key, { info }] of versions) if (!info.complete) yield key
    },
  }
}

/** The current version of each resource, by its key. */
type Versions = Map<string, Version>

/**
 * One version of a resource. Its info is never changed. Its content may be shared with the next
 * version.
 */
interface Version {
  readonly info: ResourceInfo
  readonly content: Content
}

/**
 * Bytes in a buffer that grows by doubling. Readers may use the bytes below `pinned`: before a
 * writer overwrites one of them, it copies the buffer.
 */
interface Content {
  data: Uint8Array
  pinned: number
}

/**
 * Opens a version for reading. From now on a writer copies the buffer before it overwrites these
 * bytes.
 */
function pin({ info, content }: Version): Reader {
  content.pinned = Math.max(content.pinned, info.size)
  const data = content.data
  return {
    info,
    read: (start, end) => pieces(data, start, end),
    async close() {},
  }
}

/**
 * Writes a resource. A persist writer appends to the content of the current version, and publishes
 * a new version after each write. An atomic writer has a copy of the content, and publishes it in
 * `commit`.
 */
class MemoryWriter implements Writer {
  readonly base: ResourceInfo | null
  readonly transaction: Transaction
  readonly #versions: Versions
  readonly #key: string
  readonly #initial: ResourceState
  readonly #isLost: () => boolean
  readonly #content: Content
  /**
   * The version that must still be the current one when this writer publishes the next. Another
   * writer has changed the resource otherwise.
   */
  #current: Version | undefined
  #size: number
  #ended = false

  constructor(versions: Versions, key: string, options: OpenWriterOptions) {
    const current = versions.get(key)
    const mayPersist =
      options.transaction === 'persist' && !(options.replace && current !== undefined)
    this.#versions = versions
    this.#key = key
    this.#initial = options.initial
    this.#isLost = options.isLost ?? (() => false)
    this.#current = current
    this.base = current?.info ?? null
    this.transaction = mayPersist && this.base?.complete !== true ? 'persist' : 'atomic'
    const start = options.replace ? undefined : current
    this.#size = start?.info.size ?? 0
    this.#content =
      start !== undefined && this.transaction === 'persist' ? start.content : share(start?.content)
  }

  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#assertOpen()
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    if (length === 0) return
    if (this.transaction === 'persist') {
      if (position > this.#size)
        throw new RangeError(`position ${position} is beyond the end of ${this.#size} bytes`)
      this.#assertCurrent()
    }
    const data = this.#room(position, position + length)
    if (position > this.#size) data.fill(0, this.#size, position)
    let at = position
    for (const chunk of chunks) {
      data.set(chunk, at)
      at += chunk.length
    }
    this.#resized(Math.max(this.#size, at))
  }

  async truncate(size: number): Promise<void> {
    this.#assertOpen()
    const least = this.transaction === 'persist' ? (this.base?.size ?? 0) : 0
    if (size < least || size > this.#size)
      throw new RangeError(`size ${size} must be from ${least} to ${this.#size}`)
    if (size === this.#size) return
    if (this.transaction === 'persist') this.#assertCurrent()
    this.#resized(size)
  }

  read(start: number, end: number): AsyncIterable<Uint8Array> {
    return pieces(this.#content.data, start, end)
  }

  async commit(state: ResourceState): Promise<ResourceInfo> {
    this.#assertOpen()
    this.#assertCurrent()
    this.#ended = true
    return this.#publish(state)
  }

  async keep(): Promise<void> {
    this.#ended = true
  }

  async rollback(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    if (this.#isLost()) return
    if (this.transaction === 'atomic' || this.#versions.get(this.#key) !== this.#current) return
    if (this.base === null) this.#versions.delete(this.#key)
    else if (this.#size > this.base.size) {
      this.#size = this.base.size
      this.#publish(this.base)
    }
  }

  /**
   * Sets the size after a write or a truncation. A persist writer then publishes a new version, so
   * that readers see it.
   */
  #resized(size: number): void {
    this.#size = size
    if (this.transaction === 'persist') this.#publish(this.base ?? this.#initial)
  }

  /** Makes the content so far the current version, under a new etag. */
  #publish(state: ResourceState): ResourceInfo {
    const info = {
      ...copyState(state),
      size: this.#size,
      etag: `"${crypto.randomUUID()}"`,
      lastModified: new Date(),
    }
    this.#current = { info, content: this.#content }
    this.#versions.set(this.#key, this.#current)
    return info
  }

  /**
   * Returns a buffer in which the bytes from `start` to `end` may be overwritten, because no reader
   * uses them.
   */
  #room(start: number, end: number): Uint8Array {
    const content = this.#content
    const capacity = content.data.length
    if (start >= content.pinned && end <= capacity) return content.data
    const data = allocate(end > capacity ? Math.max(end, 2 * capacity) : capacity)
    data.set(content.data.subarray(0, this.#size))
    content.data = data
    content.pinned = 0
    return data
  }

  #assertOpen(): void {
    if (this.#ended) throw new Error('the writer has ended')
    assertHeld(this.#isLost)
  }

  /** Throws `ERR_CONFLICT` if another writer has changed or removed the resource. */
  #assertCurrent(): void {
    if (this.#versions.get(this.#key) !== this.#current) {
      throw conflict()
    }
  }
}

/** Throws if the caller has lost the lock of the key. */
function assertHeld(isLost = (): boolean => false): void {
  if (isLost()) throw new Error('this process has lost the lock of the resource')
}

/**
 * Returns the content of an atomic writer. All bytes count as pinned, so that the buffer is copied
 * before the first write.
 */
function share(content: Content | undefined): Content {
  const data = content?.data ?? new Uint8Array(0)
  return { data, pinned: data.length }
}

/** Allocates a buffer. A failure is reported to the client as a full storage. */
function allocate(length: number): Uint8Array {
  try {
    return new Uint8Array(length)
  } catch (cause) {
    throw new UploadError('ERR_STORAGE_FULL', { detail: 'the memory is full', cause })
  }
}

/**
 * Yields copies of the bytes, because a later write may change the buffer while a chunk waits to be
 * sent.
 */
async function* pieces(data: Uint8Array, start: number, end: number): AsyncIterable<Uint8Array> {
  for (let at = start; at < end; at += READ_SIZE) {
    yield data.slice(at, Math.min(at + READ_SIZE, end))
  }
}
