/** Records the bytes of one writer's unfinished upload, which shows them to readers. */
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

/** The record of one key, as one writer changes it. */
export class UploadRecord {
  readonly handle: RecordHandle
  /** See `KeyRecord.folder`. */
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
    // The fence of a small version stays until the version is published: its request may still take effect, and
    // would publish over the content that is shown here.
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

  /** Replaces the record of the upload that this writer has created with a tombstone. */
  async bury(): Promise<void> {
    const record = tombstone({ stored: this.handle.current, object: this.#view.object })
    await this.handle.replace({ record, inline: NOTHING })
  }
}
