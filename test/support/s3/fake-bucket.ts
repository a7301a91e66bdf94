/**
 * A bucket in memory with the exact conditional semantics of Amazon S3, for tests that need no
 * engine. Where engines differ, it takes the strictest behaviour that Amazon documents. Faults make
 * it fail as a network does.
 */
import { createHash, randomUUID } from 'node:crypto'

import { BucketError } from '../../../src/storage/s3/bucket.ts'
import type {
  Bucket,
  Condition,
  CopySource,
  DeleteOptions,
  FetchedObject,
  GetOptions,
  ListOptions,
  ListPage,
  MultipartPage,
  ObjectHeaders,
  ObjectInfo,
  Part,
  PutOptions,
  RequestOptions,
} from '../../../src/storage/s3/bucket.ts'
import { Faults } from './faults.ts'
import { FakeVersions, checkKey, checkMetadata } from './fake-versions.ts'
import type { FakeObject } from './fake-versions.ts'

/** The behaviour of the bucket. */
export interface FakeBucketOptions {
  /**
   * Smallest part but the last, in bytes. Only sources larger than this can be copied by range.
   *
   * @default 5 MiB
   */
  readonly minPartSize?: number
  /** Part numbers that the bucket accepts. @default 10_000 */
  readonly maxParts?: number
  /** Whether the bucket keeps old versions. @default false */
  readonly versioned?: boolean
  /** Objects and parts together hold at most this number of bytes. @default Infinity */
  readonly capacity?: number
  /** Objects on a page of a list. @default 1000 */
  readonly pageSize?: number
  /** The clock in milliseconds. @default Date.now */
  readonly now?: () => number
}

interface Multipart {
  readonly key: string
  readonly headers: ObjectHeaders
  readonly initiated: Date
  readonly parts: Map<number, { readonly etag: string; readonly bytes: Buffer }>
}

/**
 * A bucket in memory. Each effect is atomic, and comes at least one turn of the event loop after
 * the call.
 */
export class FakeBucket implements Bucket {
  readonly scope = this
  /** The faults of the next requests, and the requests so far. */
  readonly faults = new Faults()
  readonly #options: Required<FakeBucketOptions>
  readonly #versions: FakeVersions
  readonly #multiparts = new Map<string, Multipart>()

  constructor(options: FakeBucketOptions = {}) {
    this.#options = {
      minPartSize: options.minPartSize ?? 5 * 1024 ** 2,
      maxParts: options.maxParts ?? 10_000,
      versioned: options.versioned ?? false,
      capacity: options.capacity ?? Infinity,
      pageSize: options.pageSize ?? 1000,
      now: options.now ?? Date.now,
    }
    this.#versions = new FakeVersions(this.#options.versioned)
  }

  /** Keys of all current objects, in their order. */
  keys(): readonly string[] {
    return this.#versions.list('').map(({ key }) => key)
  }

  /** Content of the current object; null if it does not exist. */
  bytes(key: string): Buffer | null {
    return this.#versions.current(key)?.bytes ?? null
  }

  /** Ids of the multipart uploads that were neither completed nor aborted. */
  openUploads(): readonly string[] {
    return [...this.#multiparts.keys()]
  }

  async get(key: string, options: GetOptions = {}): Promise<FetchedObject | null> {
    const found = await this.faults.run('get', key, options.signal, () => {
      const object = this.#versions.find(key, options.versionId)
      if (object === null) {
        if (options.versionId !== undefined) return null
        if (options.ifMatch !== undefined) throw failed('precondition')
        return null
      }
      if (options.ifMatch !== undefined && options.ifMatch !== object.etag)
        throw failed('precondition')
      const { start, end } = options.range ?? { start: 0, end: object.bytes.length }
      if (options.range !== undefined && (start >= end || start >= object.bytes.length))
        throw new BucketError('rejected', 'InvalidRange')
      return { info: infoOf(object), bytes: object.bytes.subarray(start, end) }
    })
    if (found === null) return null
    const body = this.faults.body(found.bytes, options.signal)
    return { ...found.info, body, cancel: () => undefined }
  }

  head(key: string, { signal }: RequestOptions = {}): Promise<ObjectInfo | null> {
    return this.faults.run('head', key, signal, () => {
      const object = this.#versions.current(key)
      return object && infoOf(object)
    })
  }

  put(
    key: string,
    chunks: readonly Uint8Array[],
    { signal, ...options }: PutOptions = {},
  ): Promise<string> {
    const bytes = Buffer.concat(chunks)
    return this.faults.run('put', key, signal, () => {
      checkKey(key)
      checkMetadata(options.metadata ?? {})
      this.#checkCondition(key, options)
      this.#checkRoom(bytes.length)
      return this.#store(key, bytes, `"${md5(bytes)}"`, {
        contentType: options.contentType ?? null,
        contentDisposition: options.contentDisposition ?? null,
        metadata: options.metadata ?? {},
      })
    })
  }

  delete(key: string, { signal, ifMatch }: DeleteOptions = {}): Promise<void> {
    return this.faults.run('delete', key, signal, () => {
      const object = this.#versions.current(key)
      if (object !== null && ifMatch !== undefined && ifMatch !== object.etag)
        throw failed('precondition')
      this.#versions.remove(key)
    })
  }

  list(prefix: string, { signal, after }: ListOptions = {}): Promise<ListPage> {
    return this.faults.run('list', prefix, signal, () => {
      const found = this.#versions
        .list(prefix)
        .filter(
          ({ key }) => after === undefined || Buffer.compare(bytesOf(key), bytesOf(after)) > 0,
        )
      const page = found.slice(0, this.#options.pageSize)
      return {
        objects: page.map(({ key, etag, bytes, lastModified }) => ({
          key,
          etag,
          size: bytes.length,
          lastModified,
        })),
        next: page.length < found.length ? (page.at(-1)?.key ?? null) : null,
      }
    })
  }

  createMultipart(
    key: string,
    { signal, ...headers }: RequestOptions & ObjectHeaders,
  ): Promise<string> {
    return this.faults.run('createMultipart', key, signal, () => {
      checkKey(key)
      checkMetadata(headers.metadata)
      const upload = randomUUID()
      const initiated = new Date(this.#options.now())
      this.#multiparts.set(upload, { key, headers, initiated, parts: new Map() })
      return upload
    })
  }

  uploadPart(
    key: string,
    upload: string,
    number: number,
    chunks: readonly Uint8Array[],
    { signal }: RequestOptions = {},
  ): Promise<string> {
    const bytes = Buffer.concat(chunks)
    return this.faults.run('uploadPart', key, signal, () => {
      this.#checkRoom(bytes.length)
      return this.#addPart(key, upload, number, bytes)
    })
  }

  uploadPartCopy(
    key: string,
    upload: string,
    number: number,
    source: CopySource,
    { signal }: RequestOptions = {},
  ): Promise<string> {
    return this.faults.run('uploadPartCopy', key, signal, () => {
      const object = this.#versions.find(source.key, source.versionId)
      if (object === null) throw new BucketError('missing', 'NoSuchKey')
      if (source.ifMatch !== undefined && source.ifMatch !== object.etag)
        throw failed('precondition')
      if (source.range === null) return this.#addPart(key, upload, number, object.bytes)
      const { start, end } = source.range
      if (object.bytes.length <= this.#options.minPartSize)
        throw new BucketError('rejected', 'InvalidRequest')
      if (start >= end || end > object.bytes.length)
        throw new BucketError('rejected', 'InvalidRange')
      return this.#addPart(key, upload, number, object.bytes.subarray(start, end))
    })
  }

  completeMultipart(
    key: string,
    upload: string,
    parts: readonly Part[],
    { signal, ...condition }: RequestOptions & Condition = {},
  ): Promise<string> {
    return this.faults.run('completeMultipart', key, signal, () => {
      const { headers, parts: stored } = this.#multipart(key, upload)
      const pieces = parts.map(({ number, etag }, index) => {
        if (number <= (parts[index - 1]?.number ?? 0))
          throw new BucketError('rejected', 'InvalidPartOrder')
        const part = stored.get(number)
        if (part?.etag !== etag) throw new BucketError('rejected', 'InvalidPart')
        if (index < parts.length - 1 && part.bytes.length < this.#options.minPartSize)
          throw new BucketError('rejected', 'EntityTooSmall')
        return part.bytes
      })
      if (pieces.length === 0) throw new BucketError('rejected', 'MalformedXML')
      this.#checkCondition(key, condition)
      this.#multiparts.delete(upload)
      const hashes = parts.map(({ etag }) => Buffer.from(etag.slice(1, -1), 'hex'))
      const etag = `"${md5(Buffer.concat(hashes))}-${parts.length}"`
      return this.#store(key, Buffer.concat(pieces), etag, headers)
    })
  }

  abortMultipart(key: string, upload: string, { signal }: RequestOptions = {}): Promise<void> {
    return this.faults.run('abortMultipart', key, signal, () => {
      if (this.#multiparts.get(upload)?.key === key) this.#multiparts.delete(upload)
    })
  }

  listMultiparts(prefix: string, { signal, after = '' }: ListOptions = {}): Promise<MultipartPage> {
    return this.faults.run('listMultiparts', prefix, signal, () => {
      const all = [...this.#multiparts]
        .filter(([, { key }]) => key.startsWith(prefix))
        .map(([upload, { key, initiated }]) => ({ key, upload, initiated }))
        .toSorted((a, b) => Buffer.compare(bytesOf(placeOf(a)), bytesOf(placeOf(b))))
        .filter((each) => Buffer.compare(bytesOf(placeOf(each)), bytesOf(after)) > 0)
      const uploads = all.slice(0, this.#options.pageSize)
      const last = uploads.at(-1)
      return {
        uploads,
        next: uploads.length < all.length && last !== undefined ? placeOf(last) : null,
      }
    })
  }

  #multipart(key: string, upload: string): Multipart {
    const multipart = this.#multiparts.get(upload)
    if (multipart?.key !== key) throw new BucketError('missing', 'NoSuchUpload')
    return multipart
  }

  #addPart(key: string, upload: string, number: number, bytes: Buffer): string {
    if (!Number.isInteger(number) || number < 1 || number > this.#options.maxParts)
      throw new BucketError('rejected', 'InvalidArgument')
    const etag = `"${md5(bytes)}"`
    this.#multipart(key, upload).parts.set(number, { etag, bytes })
    return etag
  }

  #checkCondition(key: string, { ifMatch, ifNoneMatch }: Condition): void {
    const object = this.#versions.current(key)
    if (ifNoneMatch === '*' && object !== null) throw failed('precondition')
    if (ifMatch !== undefined && ifMatch !== object?.etag) throw failed('precondition')
  }

  #checkRoom(size: number): void {
    const parts = [...this.#multiparts.values()].flatMap((multipart) => [
      ...multipart.parts.values(),
    ])
    const held = parts.reduce((sum, { bytes }) => sum + bytes.length, this.#versions.size)
    if (held + size > this.#options.capacity) throw new BucketError('full', 'InsufficientCapacity')
  }

  #store(key: string, bytes: Buffer, etag: string, headers: ObjectHeaders): string {
    // S3 reports whole seconds.
    const lastModified = new Date(Math.floor(this.#options.now() / 1000) * 1000)
    this.#versions.add({ ...headers, key, bytes, etag, lastModified })
    return etag
  }
}

function infoOf(object: FakeObject): ObjectInfo {
  const { etag, bytes, lastModified, metadata, contentType, versionId } = object
  return {
    etag,
    size: bytes.length,
    lastModified,
    contentType: contentType ?? 'binary/octet-stream',
    metadata,
    versionId,
  }
}

function placeOf({ key, upload }: { readonly key: string; readonly upload: string }): string {
  return `${key}\0${upload}`
}

function failed(kind: 'precondition'): BucketError {
  return new BucketError(kind, 'PreconditionFailed')
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex')
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text)
}
