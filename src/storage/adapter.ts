/**
 * The interface between the protocol and a storage. An app that stores resources elsewhere
 * implements it.
 *
 * `storageContract` (`partial-upload/storage/contract`) checks an implementation against these
 * requirements. An info, a state and a chunk are values: an adapter copies what it is passed before
 * its method resolves, and never changes what it has returned.
 */

/**
 * Which bytes survive when a write does not reach `commit` (`Prefer: transaction` of the draft):
 * all that were written (`persist`), or none (`atomic`).
 */
export type Transaction = 'atomic' | 'persist'

/**
 * The state of a resource, as the protocol defines it. An adapter stores and returns it without
 * interpreting it.
 */
export interface ResourceState {
  /** Whether all bytes have arrived, so that the resource is published. */
  readonly complete: boolean
  /**
   * Whether the resource is or was complete. To complete it again is a modification then, and not a
   * creation (201).
   */
  readonly everComplete: boolean
  /** Length in bytes that the finished resource will have; null until a client has announced it. */
  readonly completeLength: number | null
  /** Media type of the finished resource; null if no client named one. */
  readonly contentType: string | null
  /** `Content-Disposition` field (RFC 6266) of the resource; null if no client gave one. */
  readonly contentDisposition: string | null
  /** The `Repr-Digest` field (RFC 9530) that the finished resource must match; null if none. */
  readonly reprDigest: string | null
  /** The user that began the upload, as the app identifies users; null if it does not. */
  readonly owner: string | null
}

/** One version of a stored resource. */
export interface ResourceInfo extends ResourceState {
  /**
   * Number of bytes that are stored from the start without a gap: the length of a GET, and the
   * offset from which a client resumes.
   */
  readonly size: number
  /**
   * Strong entity tag with its quotes (RFC 9110 §8.8.3). Two versions of a key never have the same
   * tag, not even after the resource was removed and created again. The tag changes when a byte,
   * `size` or a member of `ResourceState` changes. While a persist write overwrites bytes below
   * `size`, each call may return another tag.
   */
  readonly etag: string
  /**
   * Modification date of the version. A later version has a later date, as far as the clock of the
   * storage resolves it. An append, or a change of the state alone, changes the date; a read does
   * not.
   */
  readonly lastModified: Date
}

/** Options of `openWriter`. */
export interface OpenWriterOptions {
  /**
   * The requested transaction. `persist` is granted for an absent resource, and for an incomplete
   * one that is not replaced; else the write is atomic. `Writer.transaction` is the one that was
   * granted.
   */
  readonly transaction: Transaction
  /** Whether the write begins with an empty resource. Its commit removes the bytes of `base`. */
  readonly replace: boolean
  /** The state of a resource that this write creates, until a `commit` sets another one. */
  readonly initial: ResourceState
  /**
   * Returns whether the caller has lost the lock of the key to another process. From then on the
   * writer must not change anything: `write`, `truncate` and `commit` reject, `keep` and `rollback`
   * only end the writer. A storage that several processes share calls it as late as possible,
   * because a process may be halted between the call and the change.
   */
  readonly isLost?: () => boolean
}

/** Options of `openReader`. */
export interface OpenReaderOptions {
  /** Returns a signal that aborts when nobody needs the bytes. A `read` may then end early. */
  readonly signal?: () => AbortSignal
}

/** Options of `listIncomplete`. */
export interface ListOptions {
  /**
   * The caller needs only resources that were last changed before this time. A storage that knows
   * the times without extra requests may leave out the others.
   *
   * @default all
   */
  readonly changedBefore?: Date
}

/** Options of `remove`. */
export type RemoveOptions = Pick<OpenWriterOptions, 'isLost'>

/**
 * One change of one resource. The caller holds the lock of the key, calls one method at a time, and
 * ends the writer by `commit`, `keep` or `rollback`. Opening a writer changes nothing: an absent
 * resource is created by the first byte of a persist write, or by `commit`.
 */
export interface Writer {
  /**
   * The version with which the write begins, for preconditions; null if the resource is absent. It
   * stays the same while the writer changes the resource.
   */
  readonly base: ResourceInfo | null
  /** The transaction that was granted to this write. */
  readonly transaction: Transaction
  /**
   * Writes all of `chunks`, one after the other, from `position` on. Other bytes stay as they are.
   * A chunk may be empty, and may be a part of a larger buffer. The list and its chunks are
   * borrowed until the promise settles. A write of no bytes changes nothing.
   *
   * - A persist write rejects a `position` beyond the current size. Nothing has changed then, and
   *   the writer can be used further. Readers see the bytes, under another etag, when the promise
   *   has resolved; in a storage with `flush` at the latest when the next `flush`, `truncate`,
   *   `keep` or `commit` has. The size that readers see shrinks only by `truncate`, `rollback`, a
   *   replacement or a removal.
   * - Readers see nothing of an atomic write before `commit`. Bytes between the current size and a
   *   `position` beyond it are zeros.
   *
   * @throws UploadError `ERR_STORAGE_FULL` when the storage is full. A persist writer keeps the
   * bytes of earlier writes, and may keep the first bytes of the failed one.
   * @throws UploadError `ERR_CONFLICT` when another writer has changed the resource and no byte of
   * this write was visible. The caller then checks the preconditions again.
   * @throws UploadError `ERR_INTERRUPTED` in the same case, when bytes of this write were visible.
   */
  write(position: number, chunks: readonly Uint8Array[]): Promise<void>
  /**
   * Makes all bytes of a persist write durable and visible to readers. A storage whose `write`
   * resolves earlier has this method, because a request per write would be slow or costly. Such a
   * storage stores the bytes of a client that sends no more by itself, within seconds. Does nothing
   * for an atomic writer. Throws like `write`.
   */
  flush?(): Promise<void>
  /**
   * Truncates the resource to `size` bytes. If a later write begins beyond the new end, the bytes
   * in between are zeros.
   *
   * @throws Error when `size` is beyond the current size, or, for a persist write, below the size
   * of `base`. Nothing has changed then.
   */
  truncate(size: number): Promise<void>
  /**
   * Reads the bytes `start` to `end` (exclusive), 0 ≤ `start` ≤ `end` ≤ the current size, with the
   * changes of this write. A writer that replaces the resource does not read bytes of `base`.
   */
  read(start: number, end: number): AsyncIterable<Uint8Array>
  /**
   * Makes the write the current version with `state`, durably and for all readers at the same
   * moment, and returns its info. While it runs, `head` and `openReader` return the old or the new
   * version, never a mixture and never null. If it rejects, readers see no change, and the caller
   * ends the writer by `keep` or `rollback`.
   *
   * @throws UploadError `ERR_KEY_CONFLICT` when the key can't exist beside other keys.
   * @throws UploadError `ERR_CONFLICT` when `base` is not the current version any more: another
   * writer has committed, or the resource was removed, even if it was created again with the same
   * bytes.
   * @throws Error when the writer has ended.
   */
  commit(state: ResourceState): Promise<ResourceInfo>
  /**
   * Ends an interrupted persist write. Its bytes stay, under the state of `base`, or under
   * `initial` if the write has created the resource. Does the same as `rollback` for an atomic
   * writer, and nothing after the end of the writer.
   */
  keep(): Promise<void>
  /**
   * Ends the write and undoes it: the resource has its earlier size again, or is absent again. Only
   * bytes below the size of `base` that a persist writer has overwritten stay overwritten. Does
   * nothing after the end of the writer.
   */
  rollback(): Promise<void>
}

/**
 * One version of a resource, open for reading. Later writes, a replacement and a removal do not
 * change what it reads, not even in the middle of a `read`. If a persist write overwrites or
 * truncates its bytes, `read` may fail instead. The readers of one resource are independent of each
 * other.
 */
export interface Reader {
  /** The version that is read. */
  readonly info: ResourceInfo
  /**
   * Reads bytes `start` to `end` (exclusive), 0 ≤ `start` ≤ `end` ≤ `info.size`, any number of
   * times. Each call has its own position and buffers, and may be left early. A chunk must not
   * change after the next one was read, because it may still wait to be sent.
   *
   * @throws UploadError `ERR_CONFLICT` when a writer has changed or removed the version, so that
   * the rest of its bytes can't be read any more. A GET that has sent nothing yet opens the next
   * version.
   */
  read(start: number, end: number): AsyncIterable<Uint8Array>
  /**
   * Returns a URL to which GET redirects the client, because a store answers there with the bytes
   * of the version and this `Content-Type`; null if there is none.
   */
  url?(contentType: string): Promise<string | null>
  /** Releases the version, without an effect on other readers. A second call does nothing. */
  close(): Promise<void>
}

/**
 * Calls `work` while the caller holds the lock of `key`, and returns its result; null if another
 * request has the lock. `isLost` returns whether the lock was lost to another process, like that of
 * `OpenWriterOptions`.
 */
export type WithLock = <T>(
  key: string,
  work: (isLost: () => boolean) => Promise<T>,
) => Promise<T | null>

/**
 * Notes about changes of which an app was not notified yet, at most one for each key. They survive
 * a crash, so that the next process can notify the app. The caller holds the lock of the key,
 * except for `list`.
 */
export interface ChangeNotes {
  /** Returns the note of the key; null if it has none. */
  read(key: string): Promise<string | null>
  /** Stores the note in place of an earlier one, as durably as a commit. */
  write(key: string, note: string): Promise<void>
  /** Removes the note. Does nothing if the key has none. */
  remove(key: string): Promise<void>
  /** Lists the keys that have a note. The caller may change notes while it iterates. */
  list(): AsyncIterable<string>
}

/**
 * A storage of resources, each under a key: a path such as `reports/2026.pdf`. Two different keys
 * are two resources, however long or similar they are. A storage may refuse a key that it can't
 * distinguish from others.
 */
export interface StorageAdapter {
  /** The same object for all storages of this process on the same data, which share their locks. */
  readonly lockScope?: object
  /**
   * Returns the current version; null if the resource is absent. Takes no lock, and has no effect
   * on a writer.
   *
   * @throws UploadError `ERR_KEY` for a key that the storage can't name.
   */
  head(key: string): Promise<ResourceInfo | null>
  /** Opens the current version for reading; null if the resource is absent. Throws like `head`. */
  openReader(key: string, options?: OpenReaderOptions): Promise<Reader | null>
  /**
   * Opens a writer for one change. The caller holds the lock of the key. Throws like `head`.
   *
   * @throws UploadError `ERR_KEY_CONFLICT` when the key can't exist beside other keys.
   */
  openWriter(key: string, options: OpenWriterOptions): Promise<Writer>
  /**
   * Removes the resource, and resolves when it is absent; false if it was absent before. The caller
   * holds the lock of the key. Throws like `head`.
   *
   * @throws Error when `isLost` returns true, in which case nothing is changed.
   */
  remove(key: string, options?: RemoveOptions): Promise<boolean>
  /**
   * Returns the path of a file that has the bytes of the finished resource and no others; null if
   * there is none. The app may read the file until the resource changes. Throws like `head`.
   */
  filePath?(key: string): Promise<string | null>
  /**
   * Notes for the hooks `onPublished` and `onRemoved`. In a storage without them, a hook that has
   * failed is called again only by the same process.
   */
  readonly notes?: ChangeNotes
  /**
   * Makes the bytes of uploads in progress durable, best effort. The middleware calls it in
   * `close()`, before the process ends.
   */
  flush?(): Promise<void>
  /**
   * Lists the keys of incomplete resources, each once, in any order: exactly those for which `head`
   * returns `complete: false`. Empty, reopened and interrupted ones are among them. The caller may
   * remove resources while it iterates. Expiry and the limits per owner need this method.
   */
  listIncomplete?(options?: ListOptions): AsyncIterable<string>
  /**
   * Removes data that no resource needs any more, such as the bytes of replaced versions and of
   * processes that were killed. Best effort, idempotent, and safe while other processes read, write
   * and sweep. The middleware calls it with each run of `expireAfter`.
   */
  sweep?(): Promise<void>
  /**
   * Starts work in the background that needs the locks of keys, which only the caller can take.
   * Returns a function that stops the work, and resolves when it has stopped. The middleware calls
   * `maintain` at its start and the function in `close()`.
   */
  maintain?(withLock: WithLock): () => Promise<void>
}
