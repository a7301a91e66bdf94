/** One file on its way: what it is at, and what a person can do about it. */
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

/** What an upload is at. */
export type ItemState =
  /** Others go first. */
  | { readonly kind: 'queued' }
  /** Another upload of the same name goes first: of this page, or of another tab. */
  | { readonly kind: 'elsewhere'; readonly where: 'here' | 'tab' }
  /** Bytes are under way, or the server is asked what it has. */
  | { readonly kind: 'running' }
  /** It tries again at a time (as of `performance.now()`), or when the network is back: null. */
  | { readonly kind: 'waiting'; readonly until: number | null; readonly error: Error }
  | { readonly kind: 'paused' }
  /** Cancelled, but some of it is on the server: to be kept or removed? */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'removing' }
  /** The server has something else under this name. */
  | {
      readonly kind: 'clash'
      readonly there: ResourceStatus | null
      /** The server does not let the two be compared. */
      readonly isUnverified: boolean
    }
  | {
      readonly kind: 'failed'
      readonly error: unknown
      /** The file on the server that has the name of one of the folders of this one. */
      readonly fileAbove: string | null
    }
  /** The server has exactly this file: from this upload, from another one meanwhile, or from before. */
  | { readonly kind: 'done'; readonly by: 'this' | 'another' | 'earlier' }

/** The events of an item. */
export interface ItemListener {
  /** Something that can be seen has changed. */
  readonly onChange: (item: UploadItem) => void
  /** So many bytes have moved. */
  readonly onMove: (size: number) => void
  /** The item shall go from the list. */
  readonly onDrop: (item: UploadItem) => void
  /** Whether another item has the same path, and is not done. */
  readonly hasRival: (item: UploadItem) => boolean
}

const NO_PROGRESS: Progress = { sent: 0, size: null, rate: null }

/** An upload that can be paused, resumed, taken back and tried again. */
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
  /** Ends the attempt that is under way. */
  #controller = new AbortController()
  #attempt: Promise<void> = Promise.resolve()
  /** Another client has held the resource during the attempt that is under way. */
  #hasMetAnother = false
  /** The server had exactly this file before the attempt. */
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

  /** How far it is: `size` is the file's, `sent` what the server has or the network has taken. */
  get progress(): Progress {
    return { ...this.#progress, size: this.file.size }
  }

  /** When a byte last moved, or the last answer came, as of `performance.now()`. */
  get movedAt(): number {
    return this.#movedAt
  }

  /** Whether it needs nothing from a person to proceed. */
  get isActive(): boolean {
    return ['queued', 'elsewhere', 'running', 'waiting'].includes(this.#state.kind)
  }

  /** Whether the server knows nothing of it yet. */
  get hasNotBegun(): boolean {
    const { kind } = this.#state
    return (kind === 'queued' || kind === 'paused') && this.#progress.sent === 0
  }

  /** Whether this is the same file, chosen again. */
  isFile({ key, file }: Chosen): boolean {
    const { size, lastModified } = this.file
    return key === this.#key && file.size === size && file.lastModified === lastModified
  }

  /** Begins or resumes. The server knows the offset, so that a pause, an error and a reload are alike. */
  start({ overwrite = false } = {}): void {
    const signal = this.#begin()
    this.#set({ kind: 'queued' })
    // The lock of an attempt that was just stopped is free in a moment.
    this.#attempt = this.#attempt.then(async () => this.#try(signal, overwrite))
  }

  pause(): void {
    this.#stop({ kind: 'paused' })
  }

  /** Ends the wait for the next attempt. */
  hurry(): void {
    if (this.#state.kind === 'waiting') this.#upload?.resume()
  }

  /** Stops. If something has arrived, a person has to say what becomes of it. */
  cancel(): void {
    const isUntold = this.#progress.sent === 0 && this.#isSending
    this.#stop({ kind: isUntold ? 'removing' : 'stopped' })
    if (isUntold) void this.#leave()
    else if (this.#progress.sent === 0) this.drop()
  }

  /** Leaves the list; the server keeps what it has. */
  drop(): void {
    this.#controller.abort()
    this.#listener.onDrop(this)
  }

  /** Removes what has arrived from the server; what another upload has finished meanwhile stays. */
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

  /** Leaves the list, unless the server has bytes: a browser reports bytes after they have left. */
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

  /** Takes the first name that is free, and begins. */
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

  /** Ends what is under way, for something new. */
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

  /** One attempt, which ends when all is there, when it is stopped, or when it fails for good. */
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
      // As long as the page is open there is hope.
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
    // Otherwise it is where the server says that it stands.
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

  /** What was sent need not have arrived: the server is asked what it has. */
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
