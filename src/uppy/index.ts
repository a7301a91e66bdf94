/**
 * An uploader plugin for Uppy, published as `partial-upload/uppy`:
 * `uppy.use(PartialUpload, { endpoint: 'https://app.example/files/' })`.
 *
 * After a broken connection an upload resumes by itself. After a reload it resumes when the user
 * chooses the same file again, because the server reports the offset.
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

/** Shortest wait for the next attempt that is shown to the user, in milliseconds. */
const SHORT_WAIT = 1000

const UNNAMEABLE =
  'The name of the file contains half of a surrogate pair. Rename the file, then try again'

/** Header fields by name. */
type Fields = Readonly<Record<string, string>>

/** Options of the plugin. Those of the client's `upload` that are not listed apply to each file. */
export interface PartialUploadOptions<M extends Meta, B extends Body>
  extends
    PluginOpts,
    Omit<UploadOptions, 'contentType' | 'headers' | 'onProgress' | 'onState' | 'signal'> {
  /**
   * URL of the folder that files are uploaded into, to which the name of each file is added; or a
   * function that returns the URL of a file. A relative URL is resolved against that of the page.
   * The folder's URL has to end in a slash.
   */
  readonly endpoint: string | ((file: UppyFile<M, B>) => string)
  /** Fields of every request, or a function that is called before each request of a file. */
  readonly headers?: Fields | ((file: UppyFile<M, B>) => Fields | Promise<Fields>)
  /**
   * Number of files that are uploaded at the same time. 0 sets no limit.
   *
   * @default 5
   */
  readonly limit?: number
}

/** The plugin. Uppy calls `install` and `uninstall`. */
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

  /**
   * Makes Uppy show its buttons for pausing and resuming, or hides them again. Uppy
   * can't see whether its uploader resumes, and shows no such buttons by default.
   */
  #setResumable(resumableUploads: boolean): void {
    const { capabilities } = this.uppy.getState()
    this.uppy.setState({ capabilities: { ...capabilities, resumableUploads } })
  }

  readonly #uploadAll = async (ids: string[]): Promise<void> => {
    // A plugin that prepares the files may have failed for some of them, and Golden Retriever
    // restores the complete ones of an earlier session, too.
    const files = this.uppy
      .getFilesByIds(ids)
      .filter(({ error, progress }) => !error && progress.uploadComplete !== true)
    // The event sets `uploadStarted`, without which Uppy shows no progress.
    this.uppy.emit('upload-start', files)
    await Promise.all(files.map(async (file) => this.#uploadOne(file)))
  }

  /**
   * Uploads one file. Resolves after its success or failure was reported, or the file was removed
   * from Uppy.
   */
  async #uploadOne(file: UppyFile<M, B>): Promise<void> {
    const events = new EventManager(this.uppy)
    const removal = new AbortController()
    events.onFileRemove(file.id, () => removal.abort())
    let leave: Leave = () => undefined
    try {
      const url = this.#urlOf(file)
      const running = this.#start(url, file, removal.signal)
      leave = this.#queue(running, file, events)
      await this.#reportSuccess(file, url, await running.done)
    } catch (error) {
      if (!removal.signal.aborted) this.#reportFailure(file, error)
    } finally {
      leave()
      events.remove()
    }
  }

  /**
   * Returns the absolute URL of a file. Its name is percent-encoded, so that it is one segment of
   * the path.
   *
   * @throws Error for a name that can't be encoded. Uppy shows the message at the file.
   */
  #urlOf(file: UppyFile<M, B>): string {
    const { endpoint } = this.opts
    const base = scope.location?.href
    if (typeof endpoint === 'function') return new URL(endpoint(file), base).href
    // Some systems allow half of a surrogate pair in a name. It has no UTF-8 form to
    // percent-encode, and a replacement would store two files with such names under the same URL.
    if (/\p{Surrogate}/u.test(file.meta.name)) throw new Error(UNNAMEABLE)
    return new URL(encodeURIComponent(file.meta.name), new URL(endpoint, base)).href
  }

  /** Starts the upload of a file. It is paused at once by `#queue` until it has a slot. */
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
      onProgress: ({ sent }) => this.#reportProgress(file, sent),
      onState: (state) => {
        if (state.state === 'waiting') this.#reportWait(file, state.delay, state.error)
      },
    })
    signal.addEventListener('abort', () => {
      // The user has removed the file from Uppy. The incomplete upload is removed from the server,
      // but a finished file is not.
      running.discard().catch((error: unknown) => this.uppy.log(error, 'warning'))
    })
    return running
  }

  /**
   * Queues the upload for a slot, and connects it with Uppy's buttons. A paused upload gives its
   * slot to another one. The returned function gives the slot back.
   */
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

  /** Reports the progress in bytes, from which Uppy computes the rate and the remaining time. */
  #reportProgress({ id }: UppyFile<M, B>, bytesUploaded: number): void {
    // Uppy replaces the object of a file at each change, and the user may have removed the file.
    const file = this.uppy.getFile(id)
    if (!file?.progress.uploadStarted) return
    const { uploadStarted, bytesTotal } = file.progress
    this.uppy.emit('upload-progress', file, { uploadStarted, bytesUploaded, bytesTotal })
  }

  /** Shows why an attempt has failed and when the next one begins. The upload has not failed. */
  #reportWait(file: UppyFile<M, B>, delay: number | null, error: Error): void {
    this.uppy.log(error, 'warning')
    // A delay of null means that the device is offline, which Uppy shows by itself.
    if (delay === null || delay < SHORT_WAIT) return
    const message = `Trying again in ${Math.ceil(delay / 1000)} s: ${error.message}`
    this.uppy.emit('upload-stalled', { message }, [file])
  }

  /**
   * Reports that the server holds the whole file. Listeners get the object that the app has
   * answered with, if it is JSON.
   */
  async #reportSuccess({ id }: UppyFile<M, B>, uploadURL: string, answer: Response): Promise<void> {
    const content: unknown = await answer.json().catch(() => null)
    const response = { ...this.#responseOf(answer.status, content), uploadURL }
    this.uppy.emit('upload-success', this.uppy.getFile(id), response)
  }

  /** Reports that the upload has failed. Uppy then offers to retry it. */
  #reportFailure(file: UppyFile<M, B>, cause: unknown): void {
    const error = cause instanceof Error ? cause : new Error(String(cause))
    const { status = null, problem = null } = error instanceof ClientError ? error : {}
    const words = { name: error.name, message: describe(error.message, problem) }
    const response = status === null ? undefined : this.#responseOf(status, problem)
    this.uppy.emit('upload-error', file, words, response)
  }

  /** Returns the answer in the form that Uppy passes to the listeners of its events. */
  #responseOf(status: number, content: unknown): Readonly<{ status: number; body?: B }> {
    return this.#isBody(content) ? { status, body: content } : { status }
  }

  /**
   * Whether the content of an answer is an object. The app declares its properties by the type `B`.
   */
  #isBody(content: unknown): content is B {
    return typeof content === 'object' && content !== null
  }
}

/**
 * Returns the options of the client's `upload`, which refuses unknown ones such as those of the
 * plugin.
 */
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

/**
 * Returns the text that Uppy shows to the user: that of the server's problem document, if there is
 * one.
 */
function describe(message: string, problem: Problem | null): string {
  return problem?.detail ?? problem?.title ?? message
}
