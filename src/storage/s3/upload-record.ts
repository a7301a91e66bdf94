/** The record of one key in the hands of one writer. */
import { conflict } from '../conflict.ts'
import type { S3Context } from './context.ts'
import { checkBase } from './publish.ts'
import type { ShownContent } from './publish.ts'
import { RecordHandle } from './record-store.ts'
import type { VersionContent } from './record.ts'
import { tombstone } from './remove.ts'
import { openContent } from './view.ts'
import type { View } from './view.ts'

const NOTHING = new Uint8Array(0)

/** Shows the upload of a writer to readers. */
export class UploadRecord {
  readonly handle: RecordHandle
  /** Folder of the data objects. */
  readonly folder: string
  /** See `KeyRecord.dead`. */
  readonly dead: readonly string[]
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
    this.dead = stored?.record.dead ?? []
    this.#context = context
    this.#key = key
    this.#view = view
    this.#shown = content === null ? null : { content, inline: stored?.inline ?? NOTHING }
  }

  /** The upload as readers see it now; null if they see the object or nothing. */
  get shown(): ShownContent | null {
    return this.#shown
  }

  /** Whether readers have seen something of this writer. */
  get hasChanged(): boolean {
    return this.#hasChanged
  }

  /**
   * Makes `content` the current version.
   *
   * @throws RecordLostError, UploadError `ERR_CONFLICT` when another writer was first.
   */
  async show(content: VersionContent, inline: Uint8Array): Promise<void> {
    // A small version that may still be published: only its publication may replace this fence.
    if (this.handle.current?.record.pending?.upload === null) throw conflict()
    const isFirst = this.handle.current === null
    await this.handle.replace({
      record: {
        phase: 'open',
        base: this.#view.object?.version ?? null,
        content,
        folder: this.folder,
        pending: null,
        dead: this.dead,
      },
      inline,
    })
    if (isFirst) await checkBase(this.#context, this.#key, this.handle, this.#view)
    this.#shown = { content, inline }
    this.#hasChanged = true
  }

  /** Removes the upload that this writer has created. */
  async bury(): Promise<void> {
    const record = tombstone({ stored: this.handle.current, object: this.#view.object })
    await this.handle.replace({ record, inline: NOTHING })
  }
}
