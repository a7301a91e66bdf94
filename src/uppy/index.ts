/**
 * An uploader for Uppy: `uppy.use(PartialUpload, { endpoint: 'https://app.example/files/' })`.
 *
 * An upload that was cut resumes by itself. After a reload it resumes when the same file is chosen
 * again, because the server knows the offset.
 */
import {
  BasePlugin,
  EventManager,
  type Body,
  type Meta,
  type PluginOpts,
  type Uppy,
  type UppyFile,
} from '@uppy/core'

import {
  ClientError,
  upload,
  type Problem,
  type Upload,
  type UploadOptions,
} from '../client/index.ts'
import { scope } from '../client/scope.ts'
import { createSlots, type Enter, type Leave } from '../client/slots.ts'

/** Shorter waits, in milliseconds, are not shown. */
const SHORT_WAIT = 1000

/** Fields of requests by name. */
type Fields = Readonly<Record<string, string>>

/** Options of the plugin; those of the client's `upload` are among them. */
export interface PartialUploadOptions<M extends Meta, B extends Body>
  extends
    PluginOpts,
    Omit<UploadOptions, 'contentType' | 'headers' | 'onProgress' | 'onState' | 'signal'> {
  /**
   * Where a file goes: the URL of a folder, to which the file's name is added, or a function that
   * returns the URL of each file.
   */
  readonly endpoint: string | ((file: UppyFile<M, B>) => string)
  /** Fields that go with every request, or a function that is asked before each request. */
  readonly headers?: Fields | ((file: UppyFile<M, B>) => Fields | Promise<Fields>)
  /**
   * Files that are uploaded at the same time; 0: all.
   *
   * @default 5
   */
  readonly limit?: number
}

/** The uploader. */
export class PartialUpload<M extends Meta, B extends Body> extends BasePlugin<
  PartialUploadOptions<M, B>,
  M,
  B
> {
  readonly #enter: Enter

  constructor(uppy: Uppy<M, B>, options: PartialUploadOptions<M, B>) {
    super(uppy, options)
    this.type = 'uploader'
    this.id = options.id ?? 'PartialUpload'
    this.#enter = createSlots(options.limit ?? 5)
  }

  override install(): void {
    this.#setResumable(true)
    this.uppy.addUploader(this.#uploadAll)
  }

  override uninstall(): void {
    this.uppy.removeUploader(this.#uploadAll)
    this.#setResumable(false)
  }

  #setResumable(resumableUploads: boolean): void {
    const { capabilities } = this.uppy.getState()
    this.uppy.setState({ capabilities: { ...capabilities, resumableUploads } })
  }

  readonly #uploadAll = async (ids: string[]): Promise<void> => {
    const files = this.uppy
      .getFilesByIds(ids)
      .filter(({ error, progress }) => !error && progress.uploadComplete !== true)
    this.uppy.emit('upload-start', files)
    await Promise.all(files.map(async (file) => this.#uploadOne(file)))
  }

  /** Uploads one file to its end: a success, an error, or its removal from the list. */
  async #uploadOne(file: UppyFile<M, B>): Promise<void> {
    const events = new EventManager(this.uppy)
    const removal = new AbortController()
    events.onFileRemove(file.id, () => removal.abort())
    let leave: Leave = () => undefined
    try {
      const url = this.#urlOf(file)
      const running = this.#start(url, file, removal.signal)
      leave = this.#queue(running, file, events)
      await this.#tellSuccess(file, url, await running.done)
    } catch (error) {
      if (!removal.signal.aborted) this.#tellFailure(file, error)
    } finally {
      leave()
      events.remove()
    }
  }

  #urlOf(file: UppyFile<M, B>): string {
    const { endpoint } = this.opts
    const base = scope.location?.href
    if (typeof endpoint === 'function') return new URL(endpoint(file), base).href
    return new URL(encodeURIComponent(file.meta.name), new URL(endpoint, base)).href
  }

  #start(url: string, file: UppyFile<M, B>, signal: AbortSignal): Upload {
    if (file.isRemote || file.data === undefined) throw new Error('only local files can be sent')
    const { headers = {}, credentials } = this.opts
    const request = {
      headers: typeof headers === 'function' ? async () => headers(file) : headers,
      ...(credentials === undefined ? {} : { credentials }),
    }
    const running = upload(url, file.data, {
      ...clientOptions(this.opts),
      ...request,
      contentType: file.type,
      signal,
      onProgress: ({ sent }) => this.#tellProgress(file, sent),
      onState: (state) => {
        if (state.state === 'waiting') this.#tellWait(file, state.delay, state.error)
      },
    })
    signal.addEventListener('abort', () => {
      // Removes only what this upload has stored, and no finished file.
      running.discard().catch((error: unknown) => this.uppy.log(error, 'warning'))
    })
    return running
  }

  /** Lets the upload begin when it has a slot, and Uppy pause it. The returned function frees the slot. */
  #queue(running: Upload, file: UppyFile<M, B>, events: EventManager<M, B>): Leave {
    let leave: Leave | null = null
    const pause = (): void => {
      running.pause()
      leave?.()
      leave = null
    }
    const resume = (): void => {
      leave ??= this.#enter(() => running.resume())
    }
    events.onPause(file.id, (isPaused) => (isPaused ? pause() : resume()))
    events.onPauseAll(file.id, pause)
    events.onResumeAll(file.id, resume)
    running.pause()
    if (this.uppy.getFile(file.id).isPaused !== true) resume()
    return pause
  }

  #tellProgress({ id }: UppyFile<M, B>, bytesUploaded: number): void {
    const file = this.uppy.getFile(id)
    if (!file?.progress.uploadStarted) return
    const { uploadStarted, bytesTotal } = file.progress
    this.uppy.emit('upload-progress', file, { uploadStarted, bytesUploaded, bytesTotal })
  }

  #tellWait(file: UppyFile<M, B>, delay: number | null, error: Error): void {
    this.uppy.log(error, 'warning')
    // Uppy itself shows that the device is offline.
    if (delay === null || delay < SHORT_WAIT) return
    const message = `Trying again in ${Math.ceil(delay / 1000)} s: ${error.message}`
    this.uppy.emit('upload-stalled', { message }, [file])
  }

  async #tellSuccess({ id }: UppyFile<M, B>, uploadURL: string, answer: Response): Promise<void> {
    const content: unknown = await answer.json().catch(() => null)
    const response = { ...this.#responseOf(answer.status, content), uploadURL }
    this.uppy.emit('upload-success', this.uppy.getFile(id), response)
  }

  #tellFailure(file: UppyFile<M, B>, cause: unknown): void {
    const error = cause instanceof Error ? cause : new Error(String(cause))
    const { status = null, problem = null } = error instanceof ClientError ? error : {}
    const words = { name: error.name, message: describe(error.message, problem) }
    const response = status === null ? undefined : this.#responseOf(status, problem)
    this.uppy.emit('upload-error', file, words, response)
  }

  #responseOf(status: number, content: unknown): Readonly<{ status: number; body?: B }> {
    return this.#isBody(content) ? { status, body: content } : { status }
  }

  /** An app says by `B` what its server answers; here it only has to be an object. */
  #isBody(content: unknown): content is B {
    return typeof content === 'object' && content !== null
  }
}

/** The options of the client's `upload`. It refuses others, such as those that every plugin has. */
function clientOptions<M extends Meta, B extends Body>(
  options: PartialUploadOptions<M, B>,
): UploadOptions {
  const {
    id: _id,
    locale: _locale,
    endpoint: _endpoint,
    headers: _headers,
    limit: _limit,
    ...others
  } = options
  return others
}

/** What a person reads: the words of the problem document, if there is one. */
function describe(message: string, problem: Problem | null): string {
  return problem?.detail ?? problem?.title ?? message
}
