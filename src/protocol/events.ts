/**
 * Notifies the app of published and removed resources, at least once, even if the process crashes
 * in between.
 *
 * Before a change is made, a note about it is written to the storage, and it is removed when the
 * hook has resolved. If a crash or a failing hook leaves a note behind, it is resolved later: the
 * version that the app knows, from the note, is compared with the current one, and the hook is
 * called if they differ. A version that was replaced in the meantime is therefore skipped.
 */
import { dispositionName } from '../fields/content-disposition.ts'
import type { Notifications } from '../hooks.ts'
import type { ChangeNotes, ResourceInfo, StorageAdapter, WithLock } from '../storage/adapter.ts'
import { formatNote, memoryNotes, parseNote } from './change-note.ts'
import { Retries } from './retries.ts'

/** What `Events` needs. */
export interface EventOptions {
  readonly storage: StorageAdapter
  /** The hooks of the app without a request. Changes are noted only for hooks that the app has. */
  readonly hooks: Notifications
  /** Runs work while it holds the lock of a key; returns null if a request holds the lock. */
  readonly withLock: WithLock
}

/** A change that a request makes under the lock of `key`. */
export interface Change<Base> {
  readonly key: string
  /** The version that the change starts from; null if the resource does not exist. */
  readonly base: Base
  /** The hooks of the request. */
  readonly hooks: Notifications
  /** Returns whether another process has taken over the lock. */
  readonly isLost: () => boolean
}

/** Delivers the events of one middleware to the hooks `onPublished` and `onRemoved`. */
export class Events {
  readonly #storage: StorageAdapter
  readonly #hooks: Notifications
  readonly #notes: ChangeNotes
  readonly #retries: Retries

  constructor({ storage, hooks, withLock }: EventOptions) {
    this.#storage = storage
    this.#hooks = hooks
    this.#notes = storage.notes ?? memoryNotes()
    this.#retries = new Retries(
      async (key) => (await withLock(key, (isLost) => this.#resolve(key, isLost))) ?? false,
    )
  }

  /**
   * Begins to resolve the notes that an earlier process has left. An error of the listing goes to
   * `onError`. Returns a function that stops all later deliveries, and resolves when the one in
   * progress has ended.
   */
  start(onError: (error: unknown) => void): () => Promise<void> {
    if (this.#hooks.onPublished !== null || this.#hooks.onRemoved !== null) {
      this.#retries.addAll(this.#notes.list()).catch(onError)
    }
    return () => this.#retries.stop()
  }

  /**
   * Commits a finished version with `commit`, and calls `onPublished`. Rejects only if the note
   * can't be written or the commit fails. A failing hook is called again later, because the version
   * is published already.
   */
  async publish(
    change: Change<ResourceInfo | null>,
    commit: () => Promise<ResourceInfo>,
  ): Promise<ResourceInfo> {
    const { key, base, hooks } = change
    const { onPublished } = hooks
    const isNoted = this.#hooks.onPublished !== null
    if (isNoted) await this.#note(key, base, null)
    const info = await this.#make(key, isNoted, commit)
    if (onPublished !== null) {
      await this.#deliver(change, 'onPublished', isNoted, async () =>
        onPublished(await this.#published(key, info, base)),
      )
    }
    return info
  }

  /**
   * Removes the resource with `remove`, and calls `onRemoved`. Rejects only if the removal fails.
   */
  async remove(change: Change<ResourceInfo>, remove: () => Promise<void>): Promise<void> {
    const { key, base, hooks } = change
    const { onRemoved } = hooks
    const isNoted = this.#hooks.onRemoved !== null
    // The note is best effort, because a full disk must not prevent a removal.
    if (isNoted) await this.#note(key, base, base).catch(() => {})
    await this.#make(key, isNoted, remove)
    if (onRemoved === null) return
    await this.#deliver(change, 'onRemoved', isNoted, () => onRemoved(removedResource(key, base)))
  }

  /**
   * Writes a note about a change from `base`. If an earlier note still exists, the app does not
   * know `base` either, so the version that the app knows is taken from that note.
   */
  async #note(key: string, base: ResourceInfo | null, removed: ResourceInfo | null): Promise<void> {
    const earlier = await this.#notes.read(key)
    const known = earlier === null ? base : parseNote(earlier).known
    await this.#notes.write(key, formatNote({ known, removed }))
  }

  /** Makes the change that was noted. */
  async #make<T>(key: string, isNoted: boolean, change: () => Promise<T>): Promise<T> {
    try {
      return await change()
    } catch (error) {
      // Keep the note, because a failed commit may have been made: the storage may fail after it
      // has published.
      if (isNoted) this.#retries.add(key)
      throw error
    }
  }

  /**
   * Calls a hook, and removes the note once the hook has resolved. An error becomes a process
   * warning, because the request has succeeded, and the hook is called again later.
   */
  async #deliver(
    { key, isLost }: Pick<Change<unknown>, 'key' | 'isLost'>,
    name: keyof Notifications,
    isNoted: boolean,
    call: () => Promise<void>,
  ): Promise<void> {
    try {
      await call()
    } catch (error) {
      warn(name, key, error)
      if (isNoted) this.#retries.add(key)
      return
    }
    // After a takeover another process may have written a note for its own change, which must stay.
    if (!isNoted || isLost()) return
    await this.#notes.remove(key).catch(() => this.#retries.add(key))
  }

  /**
   * Resolves a note under the lock: notifies the app of the change since the version that it knows,
   * if there is any. Returns false if the hook has failed.
   */
  async #resolve(key: string, isLost: () => boolean): Promise<boolean> {
    const text = await this.#notes.read(key)
    if (text === null) return true
    const { known, removed } = parseNote(text)
    const { onPublished, onRemoved } = this.#hooks
    const now = await this.#storage.head(key)
    try {
      if (now?.complete === true) {
        if (now.etag !== known?.etag) {
          await repair(this.#storage, key, now, isLost)
          await onPublished?.(await this.#published(key, now, known))
        }
      } else if (removed !== null && isGone(removed, now)) {
        await onRemoved?.(removedResource(key, removed))
      }
    } catch (error) {
      warn(now?.complete === true ? 'onPublished' : 'onRemoved', key, error)
      return false
    }
    if (!isLost()) await this.#notes.remove(key)
    return true
  }

  /** Makes the argument of `onPublished`. */
  async #published(key: string, info: ResourceInfo, base: ResourceInfo | null) {
    const { size, etag, lastModified, contentType, contentDisposition, owner } = info
    return {
      key,
      size,
      etag,
      lastModified,
      contentType,
      name: dispositionName(contentDisposition),
      owner,
      previous: base?.complete === true ? base : null,
      path: (await this.#storage.filePath?.(key)) ?? null,
    }
  }
}

/** Makes the argument of `onRemoved`. */
function removedResource(key: string, info: ResourceInfo) {
  const { complete, size, etag, contentType, contentDisposition, owner } = info
  const name = dispositionName(contentDisposition)
  return { key, complete, size, etag, contentType, name, owner }
}

/**
 * Whether the noted removal was made: the resource does not exist, or a new upload has begun since
 * then. An upload that has never been complete, in the place of a finished version, can only have
 * begun after the removal. In the place of an upload it may be that upload, so the removal counts
 * as not made.
 */
function isGone(removed: ResourceInfo, now: ResourceInfo | null): boolean {
  return now === null || (removed.complete && !now.everComplete)
}

/**
 * Makes the storage complete a commit that a crash has interrupted, so that the file has its path.
 * Each opened writer does that, so one is opened and rolled back.
 */
async function repair(
  storage: StorageAdapter,
  key: string,
  initial: ResourceInfo,
  isLost: () => boolean,
): Promise<void> {
  if (storage.filePath === undefined || (await storage.filePath(key)) !== null) return
  const options = { transaction: 'atomic', replace: false, initial, isLost } as const
  await (await storage.openWriter(key, options)).rollback()
}

/**
 * Emits the error of a hook as a process warning, because the answer of a request that succeeded
 * can't report it.
 */
function warn(hook: keyof Notifications, key: string, cause: unknown): void {
  const reason = cause instanceof Error ? cause.message : String(cause)
  process.emitWarning(
    new Error(`partial-upload: ${hook} failed for '${key}': ${reason}`, { cause }),
  )
}
