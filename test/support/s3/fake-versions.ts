/** The objects of the bucket in memory, with their old versions where the bucket keeps them. */
import { randomUUID } from 'node:crypto'

import { BucketError } from '../../../src/storage/s3/bucket.ts'
import type { ObjectHeaders } from '../../../src/storage/s3/bucket.ts'

/** The limits of S3, in bytes. */
const MAX_KEY = 1024
const MAX_METADATA = 2048

/** One version of one object. */
export interface FakeObject extends ObjectHeaders {
  readonly key: string
  readonly bytes: Buffer
  readonly etag: string
  readonly lastModified: Date
  /** Null in a bucket without versioning. */
  readonly versionId: string | null
}

/** Objects by key. */
export class FakeVersions {
  readonly #isVersioned: boolean
  /** The versions of each key, the newest last; null is a delete marker. */
  readonly #keys = new Map<string, (FakeObject | null)[]>()

  constructor(isVersioned: boolean) {
    this.#isVersioned = isVersioned
  }

  /** Bytes of all versions together. */
  get size(): number {
    let size = 0
    for (const version of [...this.#keys.values()].flat()) size += version?.bytes.length ?? 0
    return size
  }

  current(key: string): FakeObject | null {
    return this.#keys.get(key)?.at(-1) ?? null
  }

  /** The version with this id, or the current one; null if it does not exist. */
  find(key: string, versionId: string | undefined): FakeObject | null {
    if (versionId === undefined) return this.current(key)
    return this.#keys.get(key)?.find((version) => version?.versionId === versionId) ?? null
  }

  add(object: Omit<FakeObject, 'versionId'>): void {
    const versionId = this.#isVersioned ? randomUUID() : null
    this.#push(object.key, { ...object, versionId })
  }

  remove(key: string): void {
    if (this.#isVersioned) this.#push(key, null)
    else this.#keys.delete(key)
  }

  /** Current objects whose key begins with `prefix`, in the order of their UTF-8 bytes. */
  list(prefix: string): readonly FakeObject[] {
    const found = [...this.#keys.keys()].flatMap((key) => {
      const object = key.startsWith(prefix) ? this.current(key) : null
      return object === null ? [] : [object]
    })
    return found.toSorted((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
  }

  #push(key: string, version: FakeObject | null): void {
    const older = this.#isVersioned ? (this.#keys.get(key) ?? []) : []
    this.#keys.set(key, [...older, version])
  }
}

/** @throws BucketError for a key that S3 refuses. */
export function checkKey(key: string): void {
  if (key === '') throw new BucketError('rejected', 'InvalidRequest')
  if (Buffer.byteLength(key) > MAX_KEY) throw new BucketError('rejected', 'KeyTooLongError')
}

/** @throws BucketError for metadata that S3 refuses, or that HTTP can't carry. */
export function checkMetadata(metadata: Readonly<Record<string, string>>): void {
  const entries = Object.entries(metadata)
  if (entries.some(([name, value]) => !/^[a-z0-9-]+$/.test(name) || /[^ -~]/.test(value)))
    throw new BucketError('rejected', 'InvalidArgument')
  const size = entries.reduce((sum, [name, value]) => sum + name.length + value.length, 0)
  if (size > MAX_METADATA) throw new BucketError('rejected', 'MetadataTooLarge')
}
