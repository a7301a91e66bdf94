/** The upload of one file: its state, and what the user can do with it. */
import {
  ClientError,
  status,
  upload,
  type Progress,
  type Upload,
  type UploadStatus,
} from 'partial-upload/client'

import { findFileAbove } from './file-above.ts'
import { isConflict, isLocked } from './failure-words.ts'
import { numbered, urlOf, type Chosen } from './file-picker.ts'
import type { ItemState } from './item-state.ts'
import { removeUpload } from './remove-version.ts'
import { exclusively, type Turns } from './turns.ts'

/** The events of an item. */
export interface ItemListener {
  readonly onChange: (item: UploadItem) => void
  /** Called when `size` further bytes have moved. */
  readonly onMove: (size: number) => void
  /** Called when the item has to be removed from the list. */
  readonly onDrop: (item: UploadItem) => void
  /** Returns whether another item has the same path and is not complete. */
  readonly hasRival: (item: UploadItem) => boolean
}

/** The progress before the first byte. */
const NO_PROGRESS: Progress = { sent: 0, size: null, rate: null }

/**
 * An upload that can be paused, resumed, cancelled and retried.
 *
 * Each start is an attempt with a signal of its own. After the signal has aborted, nothing of the attempt
 * may change the state any more, because another attempt may already run.
 */
export class UploadItem {
  readonly file: File
  #key: string
  #state: ItemState = { kind: 'queued' }
  #progress = NO_PROGRESS
  #movedAt = 0
  /** Whether the client sends bytes now. Otherwise its progress only shows an offset of the server. */
  #isSending = false
  readonly #turns: Turns
  readonly #listener: ItemListener
  #upload: Upload | null = null
  #controller = new AbortController()
  /** Resolves when the last attempt has ended, and has released its turn and its lock. */
  #attempt: Promise<void> = Promise.resolve()
  /** Whether another client has written to the resource during the present attempt. */
  #hasMetAnother = false
  /** Whether the server had exactly this file before the attempt. */
  #isUnchanged = false

  constructor({ key, file }: Chosen, turns: Turns, listener: ItemListener) {
    this.#key = key
    this.file = file
    this.#turns = turns
    this.#listener = listener
  }

  /** Path on the server. */
  get key(): string {
    return this.#key
  }

  get state(): ItemState {
    return this.#state
  }

  /** The progress. `sent` counts the bytes that the server has stored or the network has taken. */
  get progress(): Progress {
    return { ...this.#progress, size: this.file.size }
  }

  /** Time when the last byte has moved or the last answer has come, as of `performance.now()`. */
  get movedAt(): number {
    return this.#movedAt
  }

  /** Whether the upload continues without an action of the user. */
  get isActive(): boolean {
    return ['queued', 'elsewhere', 'running', 'waiting'].includes(this.#state.kind)
  }

  /** Whether nothing of the file was sent yet. */
  get hasNotBegun(): boolean {
    const { kind } = this.#state
    return (kind === 'queued' || kind === 'paused') && this.#progress.sent === 0
  }

  /** Whether this is the file of the upload, chosen again, as far as name, size and date show. */
  isFile({ key, file }: Chosen): boolean {
    const { size, lastModified } = this.file
    return key === this.#key && file.size === size && file.lastModified === lastModified
  }

  /** Starts or resumes the upload. Both are the same, because the client asks the server for the offset. */
  start({ overwrite = false } = {}): void {
    const signal = this.#begin()
    this.#set({ kind: 'queued' })
    // An attempt that was just stopped still holds the lock of its name for a moment.
    this.#attempt = this.#attempt.then(async () => this.#try(signal, overwrite))
  }

  /** Stops the upload until the user resumes it. The server keeps the stored bytes. */
  pause(): void {
    this.#stop({ kind: 'paused' })
  }

  /** Begins the next attempt now, if the upload waits for it. */
  hurry(): void {
    if (this.#state.kind === 'waiting') this.#upload?.resume()
  }

  /** Stops the upload. If the server has stored a part of it, the user decides whether to keep that. */
  cancel(): void {
    // Bytes are under way, but the browser has not reported any. Only the server knows what has arrived.
    const isUnreported = this.#progress.sent === 0 && this.#isSending
    this.#stop({ kind: isUnreported ? 'removing' : 'stopped' })
    if (isUnreported) void this.#leave()
    else if (this.#progress.sent === 0) this.drop()
  }

  /** Removes the upload from the list. The server keeps the stored bytes. */
  drop(): void {
    this.#controller.abort()
    this.#listener.onDrop(this)
  }

  /** Removes the stored part. A file that another client has finished is not removed. */
  async removeArrived(): Promise<void> {
    this.#set({ kind: 'removing' })
    try {
      // The aborted attempt would otherwise hold the lock of the name, and store more bytes.
      await this.#attempt
      await removeUpload(urlOf(this.#key))
      this.drop()
    } catch (error) {
      this.#set({ kind: 'failed', error, fileAbove: null })
    }
  }

  /** Drops the upload, unless the server has stored bytes that the browser has not reported yet. */
  async #leave(): Promise<void> {
    await this.#attempt
    const there = await status(urlOf(this.#key), { retries: 0 }).catch(() => null)
    if (there?.complete !== false) {
      this.drop()
      return
    }
    this.#progress = { ...NO_PROGRESS, sent: there.size }
    this.#set({ kind: 'stopped' })
  }

  /** Finds the first free name, such as `film (2).mp4`, and starts the upload under it. */
  async keepBoth(isTaken: (key: string) => boolean): Promise<void> {
    const signal = this.#begin()
    const original = this.#key
    this.#set({ kind: 'queued' })
    try {
      let number = 2
      while (await this.#isTaken(numbered(original, number), isTaken, signal)) number += 1
      this.#key = numbered(original, number)
      this.start()
    } catch (error) {
      if (!signal.aborted) this.#set({ kind: 'failed', error, fileAbove: null })
    }
  }

  /** Whether the server has a file of this name, or another upload of the page uses it. */
  async #isTaken(
    key: string,
    isTakenHere: (key: string) => boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    return isTakenHere(key) || (await status(urlOf(key), { retries: 3, signal })) !== null
  }

  /** Ends the present attempt, and returns the signal of the next one. */
  #begin(): AbortSignal {
    this.#controller.abort()
    this.#controller = new AbortController()
    return this.#controller.signal
  }

  /** Ends the present attempt, and shows why. */
  #stop(state: ItemState): void {
    this.#controller.abort()
    this.#upload = null
    this.#set(state)
  }

  /** Runs one attempt, until the upload is complete, is stopped, or fails with a permanent error. */
  async #try(signal: AbortSignal, overwrite: boolean): Promise<void> {
    if (signal.aborted) return
    this.#hasMetAnother = false
    const onWait = (): void => {
      // If the file is complete after the wait, the other one has probably sent it.
      this.#hasMetAnother = true
      const where = this.#listener.hasRival(this) ? 'here' : 'tab'
      this.#set({ kind: 'elsewhere', where })
    }
    try {
      await exclusively(`upload ${this.#key}`, signal, onWait, async () => {
        this.#set({ kind: 'queued' })
        // The turn comes after the lock. An upload that waits for another tab must not take up a turn.
        await this.#turns.run(signal, async () => this.#send(signal, overwrite))
      })
    } catch (error) {
      if (!signal.aborted) await this.#fail(error, signal)
    }
  }

  /** Sends the file, and records whether this attempt has completed it. */
  async #send(signal: AbortSignal, overwrite: boolean): Promise<void> {
    this.#upload = upload(urlOf(this.#key), this.file, {
      signal,
      overwrite,
      // The user can see the failures and cancel, so that the page need not give up.
      retries: Infinity,
      maxDelay: 10_000,
      onProgress: (progress) => {
        if (!signal.aborted) this.#move(progress)
      },
      onState: (state) => {
        if (!signal.aborted) this.#follow(state)
      },
    })
    await this.#upload.done
    // The user has paused or cancelled between the last answer and now.
    if (signal.aborted) return
    const found = this.#hasMetAnother ? 'another' : 'earlier'
    const by = this.#isUnchanged ? found : 'this'
    this.#progress = { ...this.#progress, sent: this.file.size }
    this.#movedAt = performance.now()
    this.#set({ kind: 'done', by })
  }

  /** Takes over the progress of the client. */
  #move(progress: Progress): void {
    // In other states the progress only shows the offset that the server has reported.
    if (this.#isSending) this.#listener.onMove(Math.max(0, progress.sent - this.#progress.sent))
    this.#progress = progress
    this.#movedAt = performance.now()
    this.#listener.onChange(this)
  }

  /** Takes over a state of the client, as far as it means another state for the user. */
  #follow(state: UploadStatus): void {
    this.#isSending = state.state === 'sending'
    if (state.state === 'checking' || state.state === 'sending') {
      this.#movedAt = performance.now()
      this.#set({ kind: 'running' })
    }
    if (state.state === 'done') this.#isUnchanged = state.isUnchanged
    if (state.state !== 'waiting') return
    const { delay, error } = state
    this.#hasMetAnother ||= isLocked(error)
    this.#set({ kind: 'waiting', until: delay === null ? null : performance.now() + delay, error })
  }

  /** Shows a failure. The server is asked for the stored bytes, because sent ones may be lost. */
  async #fail(failure: unknown, signal: AbortSignal): Promise<void> {
    const code = failure instanceof ClientError ? failure.code : null
    const isClash = code === 'ERR_DIFFERENT' || code === 'ERR_UNVERIFIED'
    // Best effort: the failure is shown even if the server does not answer any more.
    const there = await status(urlOf(this.#key), { retries: 3, signal }).catch(() => null)
    const fileAbove = isConflict(failure) ? await findFileAbove(this.#key, signal) : null
    if (signal.aborted) return
    const isPart = !isClash && there?.complete === false
    this.#progress = { ...NO_PROGRESS, sent: isPart ? there.size : 0 }
    const isUnverified = code === 'ERR_UNVERIFIED'
    if (isClash) this.#set({ kind: 'clash', there, isUnverified })
    else this.#set({ kind: 'failed', error: failure, fileAbove })
  }

  #set(state: ItemState): void {
    this.#state = state
    // `hurry` must not resume an upload that has ended.
    if (!this.isActive) this.#upload = null
    this.#listener.onChange(this)
  }
}
