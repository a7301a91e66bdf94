/**
 * Notifies the app of published and removed resources, at least once. A note in the storage stands for a change
 * from before it is made until the hook has resolved. A note that a crash or a failure of the hook has left is
 * settled later: the current version shows what the app does not know yet. A version that was replaced in the
 * meantime is therefore skipped.
 */
import { dispositionName } from '../fields/content-disposition.ts'
import type { Notifications } from '../hooks.ts'
import type { ChangeNotes, ResourceInfo, StorageAdapter, WithLock } from '../storage/adapter.ts'
import { formatNote, memoryNotes, parseNote } from './change-note.ts'
import { Retries } from './retries.ts'

/** What events need. */
export interface EventOptions {
  readonly storage: StorageAdapter
  /** The hooks of the app without a request. Changes are noted only for hooks that the app has. */
  readonly hooks: Notifications
  /** Runs work with the lock of a key unless a request has it. */
  readonly withLock: WithLock
}

/** A change that a request makes under the lock of `key`. */
export interface Change<Base> {
  readonly key: string
  /** The version that the change starts from. */
  readonly base: Base
  /** The hooks of the request. */
  readonly hooks: Notifications
  /** Whether another process has taken over the lock. */
  readonly isLost: () => boolean
}

/** The events of one middleware. */
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
      async (key) => (await withLock(key, (isLost) => this.#settle(key, isLost))) ?? false,
    )
  }

  /** Settles the notes that an earlier process has left. Returns a function that stops all later deliveries. */
  start(onError: (error: unknown) => void): () => Promise<void> {
    if (this.#hooks.onPublished !== null || this.#hooks.onRemoved !== null) {
      this.#retries.addAll(this.#notes.list()).catch(onError)
    }
    return () => this.#retries.stop()
  }

  /** Commits a finished version, and calls `onPublished`. Rejects only if the commit fails. */
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

  /** Removes the resource, and calls `onRemoved`. Rejects only if the removal fails. */
  async remove(change: Change<ResourceInfo>, remove: () => Promise<void>): Promise<void> {
    const { key, base, hooks } = change
    const { onRemoved } = hooks
    const isNoted = this.#hooks.onRemoved !== null
    // Best effort, because a removal must be possible on a full disk.
    if (isNoted) await this.#note(key, base, base).catch(() => {})
    await this.#make(key, isNoted, remove)
    if (onRemoved === null) return
    await this.#deliver(change, 'onRemoved', isNoted, () => onRemoved(removedResource(key, base)))
  }

  /** Writes a note. After an earlier note, the app still knows only the version before that one. */
  async #note(key: string, base: ResourceInfo | null, removed: ResourceInfo | null): Promise<void> {
    const earlier = await this.#notes.read(key)
    const known = earlier === null ? base : parseNote(earlier).known
    await this.#notes.write(key, formatNote({ known, removed }))
  }

  async #make<T>(key: string, isNoted: boolean, change: () => Promise<T>): Promise<T> {
    try {
      return await change()
    } catch (error) {
      // The note stays, because the change may have been made all the same.
      if (isNoted) this.#retries.add(key)
      throw error
    }
  }

  /** Calls a hook, and removes the note once the hook has resolved. An error becomes a process warning. */
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
    // After a takeover the note is about the change of the successor.
    if (!isNoted || isLost()) return
    await this.#notes.remove(key).catch(() => this.#retries.add(key))
  }

  /** Notifies the app of what has changed since the version that it knows. Returns whether that succeeded. */
  async #settle(key: string, isLost: () => boolean): Promise<boolean> {
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

function removedResource(key: string, info: ResourceInfo) {
  const { complete, size, etag, contentType, contentDisposition, owner } = info
  const name = dispositionName(contentDisposition)
  return { key, complete, size, etag, contentType, name, owner }
}

/**
 * Whether the removal was made. An upload that is there instead of a finished version, and never was complete,
 * began after it. An upload in place of another upload may be the same one.
 */
function isGone(removed: ResourceInfo, now: ResourceInfo | null): boolean {
  return now === null || (removed.complete && !now.everComplete)
}

/** Makes a storage complete a commit that a crash has interrupted, as every writer does, so that the file has its path. */
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

/** Emits an error as a process warning, because the request has succeeded and its answer can't report the error. */
function warn(hook: keyof Notifications, key: string, cause: unknown): void {
  const reason = cause instanceof Error ? cause.message : String(cause)
  process.emitWarning(
    new Error(`partial-upload: ${hook} failed for '${key}': ${reason}`, { cause }),
  )
}
