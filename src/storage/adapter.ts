/**
 * The interface between the protocol and a storage, and the one thing an app developer implements.
 *
 * `storageContract` (`partial-upload/storage/contract`) holds an implementation to what is said here.
 * An info, a state and a chunk are values: an adapter copies what it is given before a method resolves,
 * and never changes what it has returned.
 */

/**
 * What survives when a write does not reach `commit` (the draft's `Prefer: transaction`): every byte
 * that was written (`persist`), or nothing (`atomic`).
 */
export type Transaction = 'atomic' | 'persist'

/** What the protocol knows of a resource. An adapter stores it as it is and never interprets it. */
export interface ResourceState {
  /** All bytes have arrived, and the resource is published. */
  readonly complete: boolean
  /** It is complete or was so before: what completes it again modifies it and creates nothing. */
  readonly everComplete: boolean
  /** Length in bytes that the finished resource will have; null until a client has announced it. */
  readonly completeLength: number | null
  /** Media type of the finished resource; null if no client named one. */
  readonly contentType: string | null
  /** `Content-Disposition` field (RFC 6266) to serve the resource with; null if no client gave one. */
  readonly contentDisposition: string | null
  /** The `Repr-Digest` field (RFC 9530) that the finished resource must match; null if none. */
  readonly reprDigest: string | null
  /** Who began the upload, in the app's words; null if the app does not tell. */
  readonly owner: string | null
}

/** One version of a stored resource. */
export interface ResourceInfo extends ResourceState {
  /** Bytes stored from the start without a gap: what a GET returns, and where an upload resumes. */
  readonly size: number
  /**
   * Strong entity tag with its quotes (RFC 9110 §8.8.3). No two versions of a key ever share one, not
   * even after the resource was removed and created again; it changes with any byte, with `size` and
   * with any member of `ResourceState`. While a persist write changes bytes below `size` in place,
   * every look may tell another one.
   */
  readonly etag: string
  /**
   * When the version was made. Each version has a later time than the one before, as far as the clock
   * of the storage tells them apart: an append and a change of the state alone move it, a look does not.
   */
  readonly lastModified: Date
}

/** How a writer is opened. */
export interface OpenWriterOptions {
  /**
   * What the caller asks for. `persist` is honoured for an absent resource, and for an incomplete one
   * that is not replaced; the writer's own `transaction` tells what holds.
   */
  readonly transaction: Transaction
  /** The resource starts over, empty: the bytes of `base` go when the write is committed. */
  readonly replace: boolean
  /** What a resource that this write creates has, should it not reach `commit`. */
  readonly initial: ResourceState
  /**
   * Returns whether the caller has lost the key's lock to another process. From then on the writer
   * changes nothing: `write`, `truncate` and `commit` throw, `keep` and `rollback` only end the writer. A
   * storage that several processes share asks as late as it can, because a process may be halted between
   * the question and the change.
   */
  readonly isLost?: () => boolean
}

/** How a resource is removed. */
export type RemoveOptions = Pick<OpenWriterOptions, 'isLost'>

/**
 * One change of one resource. The caller holds the key's lock, calls one method at a time, and ends
 * the writer with `commit`, `keep` or `rollback`. Opening one changes nothing: an absent resource
 * comes to be with the first byte written (persist) or with `commit`.
 */
export interface Writer {
  /**
   * The version that the write starts from, for preconditions; null if the resource is absent, also
   * after a `remove`. It stays the same while the writer changes the resource.
   */
  readonly base: ResourceInfo | null
  /** What holds for this write. */
  readonly transaction: Transaction
  /**
   * Writes all of `chunks`, one after the other, from `position` on, and leaves the bytes around them
   * as they are. A chunk may be empty, and may be a part of a larger buffer. The list and its chunks are
   * borrowed until the promise settles. A write of no bytes changes nothing and creates nothing.
   *
   * persist: rejects a `position` beyond the current size, changes nothing then, and can be used further;
   * readers see the bytes, under another etag, once the promise resolves.
   * atomic: readers see nothing before `commit`; bytes between the current size and a `position` beyond
   * it read as zeros.
   *
   * @throws UploadError `ERR_STORAGE_FULL` when there is no room. A persist writer keeps what it wrote
   * before; of the failed write an unbroken prefix may stay.
   */
  write(position: number, chunks: readonly Uint8Array[]): Promise<void>
  /**
   * Cuts the resource to `size` bytes. Bytes that are written behind a gap later leave zeros there.
   *
   * @throws Error when `size` is beyond the current size; persist: also when it is below that of `base`.
   * Nothing has changed then.
   */
  truncate(size: number): Promise<void>
  /**
   * Reads bytes `start` to `end` (exclusive), 0 ≤ `start` ≤ `end` ≤ the current size, as this write has
   * left them so far. Of a resource that is replaced it shows nothing of `base`.
   */
  read(start: number, end: number): AsyncIterable<Uint8Array>
  /**
   * Makes the write the current version, durably and at once for every reader, with `state`, and returns
   * what `head` then returns. While it runs, `head` and `openReader` show the version before or the new
   * one: never a mixture, and never nothing.
   *
   * A rejected commit changes nothing that a reader sees, and leaves the writer to be ended by `keep`
   * or `rollback`.
   *
   * @throws UploadError `ERR_KEY_CONFLICT` when the key can't be published beside the other keys.
   * @throws Error when `base` is no longer the current version: another writer has committed, or the
   * resource was removed, even if it was created again with the same bytes. Also when the writer has ended.
   */
  commit(state: ResourceState): Promise<ResourceInfo>
  /**
   * Ends a persist write that was cut: what was written stays, and the rest is as in `base`, or as in
   * `initial` if the write created the resource. For an atomic writer the same as `rollback`. Does
   * nothing on a writer that has ended.
   */
  keep(): Promise<void>
  /**
   * Ends the write and takes it back: the resource has the size it had, or is absent as before. Only
   * bytes below the size of `base` that a persist writer overwrote stay overwritten. Does nothing on a
   * writer that has ended.
   */
  rollback(): Promise<void>
}

/**
 * One version of a resource, held for reading: later writes, a replacement and a removal do not show in
 * it, not even in the middle of a `read`. Where a persist write changes its bytes in place or takes them
 * back, `read` may fail instead. Several readers of one resource do not know of each other.
 */
export interface Reader {
  /** The version that is read. */
  readonly info: ResourceInfo
  /**
   * Reads bytes `start` to `end` (exclusive), 0 ≤ `start` ≤ `end` ≤ `info.size`, any number of times. Each
   * call has a position and buffers of its own, and may be left before its end. A chunk stays as it is
   * after the next one was read, because it may wait to be sent.
   */
  read(start: number, end: number): AsyncIterable<Uint8Array>
  /** Lets go of the version; other readers of it go on. Does nothing the second time. */
  close(): Promise<void>
}

/**
 * A place where resources are stored, each under a key: a path such as `reports/2026.pdf`. Two keys that
 * differ anywhere are two resources, however long or alike they are; a key may be refused instead.
 */
export interface StorageAdapter {
  /** Storages that store to the same place have the same one, and share their locks in this process. */
  readonly lockScope?: object
  /**
   * Returns the current version without a lock and without disturbing a writer; null if there is none.
   *
   * @throws UploadError `ERR_KEY` for a key that the storage can't name.
   */
  head(key: string): Promise<ResourceInfo | null>
  /** Opens the current version for reading; null if there is none. Throws as `head`. */
  openReader(key: string): Promise<Reader | null>
  /** Begins a change. The caller holds the key's lock. Throws as `head`, and `ERR_KEY_CONFLICT`. */
  openWriter(key: string, options: OpenWriterOptions): Promise<Writer>
  /**
   * Removes the resource and no other, and resolves once it is absent; false if it was absent before. The
   * caller holds the key's lock. Throws as `head`.
   *
   * @throws Error when `isLost` returns true: then nothing of the resource is changed.
   */
  remove(key: string, options?: RemoveOptions): Promise<boolean>
  /**
   * Makes durable what uploads in progress have stored so far, best effort. Called by `close()`, before
   * the process ends.
   */
  flush?(): Promise<void>
  /**
   * Lists the keys of incomplete resources, each once, in any order: those that `head` shows with
   * `complete: false`, with empty, reopened and interrupted ones, and no others. Listed resources may be
   * removed meanwhile. Expiry and the limits per owner need it.
   */
  listIncomplete?(): AsyncIterable<string>
}
