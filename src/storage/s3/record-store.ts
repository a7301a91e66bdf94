/**
 * Reads and replaces records. The record decides which of several writers wins, because each write of it is
 * conditional on its entity tag. A conditional write may have succeeded although its answer is lost, or although a
 * repetition was answered 412. Therefore each failure is followed by a read, which recognises the write by its
 * nonce.
 */
import { MAX_ATTEMPTS, backOff, isBucketError, repeat, translated } from './attempts.ts'
import type { S3Context } from './context.ts'
import { formatRecord, parseRecord } from './record.ts'
import type { KeyRecord, StoredRecord } from './record.ts'

/** The record was changed by another writer since it was read. */
export class RecordLostError extends Error {
  override readonly name = 'RecordLostError'
}

/** Reads a record; null if the key has none. */
export function readRecord(
  { bucket, layout }: S3Context,
  key: string,
): Promise<StoredRecord | null> {
  return repeat(async () => {
    const found = await bucket.get(layout.record(key))
    if (found === null) return null
    const chunks: Uint8Array[] = []
    for await (const chunk of found.body) chunks.push(chunk)
    return { ...parseRecord(Buffer.concat(chunks)), etag: found.etag }
  })
}

/** New content of a record. */
export interface RecordChange {
  /** The record without its nonce, which each write makes anew. */
  readonly record: Omit<KeyRecord, 'nonce'>
  readonly inline: Uint8Array
}

/** The record of one key as one writer last read or wrote it. */
export class RecordHandle {
  readonly #context: S3Context
  readonly #key: string
  #current: StoredRecord | null
  /** Nonces of this writer's writes whose outcome is unknown. */
  readonly #doubtful = new Set<string>()

  constructor(context: S3Context, key: string, current: StoredRecord | null) {
    this.#context = context
    this.#key = key
    this.#current = current
  }

  /** The record as it was read, or last written; null if there is none. */
  get current(): StoredRecord | null {
    return this.#current
  }

  /**
   * Replaces the record.
   *
   * @throws RecordLostError when another writer was first. Nothing has changed then.
   * @throws UploadError when the store does not answer: the record may or may not have been replaced.
   */
  async replace({ record, inline }: RecordChange): Promise<StoredRecord> {
    const next = { ...record, nonce: crypto.randomUUID() }
    const body = formatRecord(next, inline)
    this.#doubtful.add(next.nonce)
    for (let attempt = 1; ; attempt += 1) {
      try {
        const etag = await this.#put(body)
        return this.#noteReplaced({ record: next, inline, etag })
      } catch (error) {
        if (!isBucketError(error, 'precondition', 'conflict', 'unavailable', 'missing'))
          throw translated(error)
        const found = await readRecord(this.#context, this.#key)
        if (found?.record.nonce === next.nonce)
          return this.#noteReplaced({ record: next, inline, etag: found.etag })
        this.#adopt(found)
        if (attempt === MAX_ATTEMPTS) throw translated(error)
        await backOff(attempt)
      }
    }
  }

  /** Removes the record. Best effort: the record of a published version is void, and the sweep removes it. */
  async remove(): Promise<void> {
    const { bucket, layout } = this.#context
    const { etag } = this.#current ?? {}
    if (etag === undefined) return
    this.#current = null
    await bucket.delete(layout.record(this.#key), { ifMatch: etag }).catch(() => undefined)
  }

  #put(body: readonly Uint8Array[]): Promise<string> {
    const { bucket, layout } = this.#context
    const condition =
      this.#current === null ? { ifNoneMatch: '*' as const } : { ifMatch: this.#current.etag }
    return bucket.put(layout.record(this.#key), body, condition)
  }

  #noteReplaced(stored: StoredRecord): StoredRecord {
    this.#doubtful.clear()
    this.#current = stored
    return stored
  }

  /**
   * Makes `found` the record to replace next, if it is the known one, or one of this writer's earlier writes whose
   * answer was lost.
   *
   * @throws RecordLostError for any other record.
   */
  #adopt(found: StoredRecord | null): void {
    if (found?.etag === this.#current?.etag) return
    if (found === null || !this.#doubtful.has(found.record.nonce))
      throw new RecordLostError('the record was changed by another writer')
    this.#current = found
  }
}
