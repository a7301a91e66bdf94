/** The upload of one file: its state, and what the user can do with it. */
import {
  ClientError,
  status,
  upload,
  type Progress,
  type ResourceStatus,
  type Upload,
  type UploadStatus,
} from 'partial-upload/client'

import { findFileAbove } from './file-above.ts'
import { isConflict, isLocked } from './failure-words.ts'
import { numbered, urlOf, type Chosen } from './file-picker.ts'
import { removeUpload } from './remove-version.ts'
import { exclusively, type Turns } from './turns.ts'

/** The state of an upload. */
export type ItemState =
  /** The upload waits until others have ended. */
  | { readonly kind: 'queued' }
  /** The upload waits until another one of the same name has ended, in this page or in another tab. */
  | { readonly kind: 'elsewhere'; readonly where: 'here' | 'tab' }
  /** The client sends bytes, or asks the server for the offset. */
  | { readonly kind: 'running' }
  /** The next attempt begins at `until`, as of `performance.now()`; if it is null, when online. */
  | { readonly kind: 'waiting'; readonly until: number | null; readonly error: Error }
  | { readonly kind: 'paused' }
  /** The user has cancelled the upload, and has to decide whether the server keeps the stored part. */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'removing' }
  /** The server has a different file of this name, and the user has to decide. */
  | {
      readonly kind: 'clash'
      readonly there: ResourceStatus | null
      /**
       * Whether the server does not let the client compare the two files, so that they may be the same.
       */
      readonly isUnverified: boolean
    }
  | {
      readonly kind: 'failed'
      readonly error: unknown
      /**
       * Path of a file on the server that has the name of one of the folders of this file; null
       * otherwise.
       */
      readonly fileAbove: string | null
    }
  /** The server has exactly this file: from this upload, from another client, or from before. */
  | { readonly kind: 'done'; readonly by: 'this' | 'another' | 'earlier' }

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

const NO_PROGRESS: Progress = { sent: 0, size: null, rate: null }

/** An upload that can be paused, resumed, cancelled and retried. */
export class UploadItem {
  readonly file: File
  #key: string
  #state: ItemState = { kind: 'queued' }
  #progress = NO_PROGRESS
  #movedAt = 0
  #isSending = false
  readonly #turns: Turns
  readonly #listener: ItemListener
  #upload: Upload | null = null
  #controller = new AbortController()
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

  pause(): void {
    this.#stop({ kind: 'paused' })
  }

  /** Begins the next attempt now, if the upload waits for it. */
  hurry(): void {
    if (this.#state.kind === 'waiting') this.#upload?.resume()
  }

  /** Stops the upload. If the server has stored a part of it, the user decides whether to keep that. */
  cancel(): void {
    const isUntold = this.#progress.sent === 0 && this.#isSending
    this.#stop({ kind: isUntold ? 'removing' : 'stopped' })
    if (isUntold) void this.#leave()
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
      this.#hasMetAnother = true
      const where = this.#listener.hasRival(this) ? 'here' : 'tab'
      this.#set({ kind: 'elsewhere', where })
    }
    try {
      await exclusively(`upload ${this.#key}`, signal, onWait, async () => {
        this.#set({ kind: 'queued' })
        await this.#turns.run(signal, async () => this.#send(signal, overwrite))
      })
    } catch (error) {
      if (!signal.aborted) await this.#fail(error, signal)
    }
  }

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
    if (signal.aborted) return
    const found = this.#hasMetAnother ? 'another' : 'earlier'
    const by = this.#isUnchanged ? found : 'this'
    this.#progress = { ...this.#progress, sent: this.file.size }
    this.#movedAt = performance.now()
    this.#set({ kind: 'done', by })
  }

  #move(progress: Progress): void {
    // In other states the progress only shows the offset that the server has reported.
    if (this.#isSending) this.#listener.onMove(Math.max(0, progress.sent - this.#progress.sent))
    this.#progress = progress
    this.#movedAt = performance.now()
    this.#listener.onChange(this)
  }

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
    if (!this.isActive) this.#upload = null
    this.#listener.onChange(this)
  }
}
