/**
 * The record of a key while one request writes. It lists where the bytes of the unfinished upload
 * are stored, so that every server that reads the record can serve and resume the upload.
 */
import { conflict } from '../conflict.ts'
import { checkBase } from './base-check.ts'
import type { S3Context } from './context.ts'
import type { ShownContent } from './publish.ts'
import { RecordHandle } from './record-store.ts'
import type { VersionContent } from './record.ts'
import { tombstone } from './remove.ts'
import { openContent } from './view.ts'
import type { View } from './view.ts'

const NOTHING = new Uint8Array(0)

/**
 * The record of one key, while one request writes. After another request has replaced the record,
 * each change of it fails.
 */
export class UploadRecord {
  readonly handle: RecordHandle
  /**
   * Folder of the upload's data objects, which hold its bytes. A new upload gets a folder of its
   * own.
   */
  readonly folder: string
  /** Removed versions of the key, which count as absent if a delayed request brings one back. */
  readonly removed: readonly string[]
  readonly #context: S3Context
  readonly #key: string
  readonly #view: View
  #shown: ShownContent | null
  #hasChanged = false

  constructor(context: S3Context, key: string, view: View) {
    const { stored, isValid } = view
    const content = stored !== null && isValid ? openContent(stored.record) : null
    this.handle = new RecordHandle(context, key, stored)
    this.folder = content === null ? crypto.randomUUID() : (stored?.record.folder ?? '')
    this.removed = stored?.record.removed ?? []
    this.#context = context
    this.#key = key
    this.#view = view
    this.#shown = content === null ? null : { content, inline: stored?.inline ?? NOTHING }
  }

  /** The upload as readers see it now; null if they see the object, or the resource is absent. */
  get shown(): ShownContent | null {
    return this.#shown
  }

  /** Whether this writer has changed the record, so that readers may have seen its bytes. */
  get hasChanged(): boolean {
    return this.#hasChanged
  }

  /**
   * Makes `content` the current version.
   *
   * @throws RecordLostError, UploadError `ERR_CONFLICT` when another writer was first.
   */
  async show(content: VersionContent, inline: Uint8Array): Promise<void> {
    // A fence that announces a small version stays until the version is published. Its one request
    // can't be aborted and may take effect late, in which case it would replace the content that is
    // shown here.
    if (this.handle.current?.record.pending?.upload === null) throw conflict()
    const isFirst = this.handle.current === null
    await this.handle.replace({
      record: {
        phase: 'open',
        base: this.#view.object?.version ?? null,
        content,
        folder: this.folder,
        pending: null,
        removed: this.removed,
      },
      inline,
    })
    if (isFirst) await checkBase(this.#context, this.#key, this.handle, this.#view)
    this.#shown = { content, inline }
    this.#hasChanged = true
  }

  /**
   * Removes the upload that this writer has created. The record becomes a tombstone, the record of
   * a removed resource, because requests of other servers may still be on their way.
   */
  async discard(): Promise<void> {
    const record = tombstone({ stored: this.handle.current, object: this.#view.object })
    await this.handle.replace({ record, inline: NOTHING })
  }
}
