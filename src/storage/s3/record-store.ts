/**
 * Reads and replaces records. The record decides which of several writers is first, because each
 * write of it has the condition that the record has not changed. Such a write may succeed although
 * its answer is lost: a repetition then fails with 412. After each failure the record is therefore
 * read, and the writer recognises its own write by the nonce.
 */
import { UploadError } from '../../errors.ts'
import { MAX_ATTEMPTS, backOff, isBucketError, repeat, translated } from './attempts.ts'
import type { S3Context } from './context.ts'
import { formatRecord, parseRecord } from './record.ts'
import type { KeyRecord, StoredRecord } from './record.ts'

/** Thrown when another writer has changed the record since it was read. */
export class RecordLostError extends Error {
  override readonly name = 'RecordLostError'
}

/** Returns whether an error says that another writer has changed the resource. */
export function isRaceLost(error: unknown): boolean {
  if (error instanceof RecordLostError) return true
  return (
    error instanceof UploadError &&
    (error.code === 'ERR_CONFLICT' || error.code === 'ERR_INTERRUPTED')
  )
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
  /** The record without its nonce. Each write gets a new one. */
  readonly record: Omit<KeyRecord, 'nonce'>
  readonly inline: Uint8Array
}

/** The record of one key as one writer last read or wrote it. */
export class RecordHandle {
  readonly #context: S3Context
  readonly #key: string
  #current: StoredRecord | null
  /** Nonces of the writes of this writer whose outcome is not known. */
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
   * @throws UploadError when the store does not answer: the record may or may not have been
   * replaced.
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

  /**
   * Removes the record, unless another writer has replaced it. Best effort: after the publication
   * of a version its record is void, and the sweep removes it.
   */
  async remove(): Promise<void> {
    const { bucket, layout } = this.#context
    const { etag } = this.#current ?? {}
    if (etag === undefined) return
    this.#current = null
    await bucket.delete(layout.record(this.#key), { ifMatch: etag }).catch(() => undefined)
  }

  /**
   * Writes the record only if the store still has `#current`, or, if that is null, no record yet.
   */
  #put(body: readonly Uint8Array[]): Promise<string> {
    const { bucket, layout } = this.#context
    const condition =
      this.#current === null ? { ifNoneMatch: '*' as const } : { ifMatch: this.#current.etag }
    return bucket.put(layout.record(this.#key), body, condition)
  }

  /**
   * Notes that a write has succeeded. No earlier write can take effect any more, because its
   * condition does not hold.
   */
  #noteReplaced(stored: StoredRecord): StoredRecord {
    this.#doubtful.clear()
    this.#current = stored
    return stored
  }

  /**
   * Makes `found` the record to replace next. It must be the known one, or an earlier write of this
   * writer whose answer was lost.
   */
  #adopt(found: StoredRecord | null): void {
    if (found?.etag === this.#current?.etag) return
    if (found === null || !this.#doubtful.has(found.record.nonce))
      throw new RecordLostError('the record was changed by another writer')
    this.#current = found
  }
}
