/** Binds the app's own client from `@aws-sdk/client-s3` to the operations of the storage. */

import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3'
import type { PutObjectCommandInput, S3Client } from '@aws-sdk/client-s3'
import { scopeOf, singleAttempts } from './aws-client.ts'
import {
  answerFields,
  copySource,
  decodeKey,
  fieldsOf,
  infoOf,
  joined,
  markersOf,
  pageAfter,
  present,
  rangeField,
} from './aws-values.ts'
import { attempt, openBody } from './bucket-attempt.ts'
import { nullIfAbsent } from './bucket-aws-error.ts'
import { BucketError } from './bucket.ts'
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
  PresignedAnswer,
  PutOptions,
  RequestOptions,
} from './bucket.ts'

/** How requests are made. */
export interface AwsBucketOptions {
  /** The app's own client. It stays the app's to destroy. */
  readonly client: S3Client
  /** Name of the bucket. */
  readonly bucket: string
  /**
   * Longest wait of one attempt for its answer, and of a download for its next bytes, in
   * milliseconds; more than 0. Beyond it the request is repeated; if the store still does not
   * answer: 503 `ERR_STORAGE_UNAVAILABLE` with `Retry-After`. Requests that assemble or copy inside
   * the store may take five times as long.
   *
   * @default 30_000
   */
  readonly timeout?: number
  /**
   * How the store encrypts all objects, if not by the default of the bucket: the members of
   * `PutObjectCommand` and `CreateMultipartUploadCommand`. A key of AWS KMS must also allow
   * `kms:Decrypt`, because parts are copied.
   */
  readonly sse?: Encryption
  /**
   * Returns a presigned URL for a request, for example by `getSignedUrl(client, command)` of
   * `@aws-sdk/s3-request-presigner`. GET of a finished file then answers 307 to this URL, so that
   * the client loads the file from the store itself. An error goes to `next(error)`.
   *
   * @default none: the server sends all files
   */
  readonly redirect?: (command: GetObjectCommand) => Promise<string>
}

/** Server-side encryption with a key that the store keeps. */
export type Encryption = Pick<
  PutObjectCommandInput,
  'ServerSideEncryption' | 'SSEKMSKeyId' | 'SSEKMSEncryptionContext' | 'BucketKeyEnabled'
>

/**
 * Times by which the timeout of assembling and copying is longer. Amazon S3 may take minutes to
 * complete a large object.
 */
const SLOW = 5

/** Opens a bucket through a client. */
export function awsBucket(options: AwsBucketOptions): Bucket {
  return new AwsBucket(options)
}

class AwsBucket implements Bucket {
  readonly scope: object
  readonly presign?: (key: string, answer: PresignedAnswer) => Promise<string>
  readonly #client: S3Client
  readonly #bucket: string
  readonly #timeout: number
  readonly #sse: Encryption

  constructor({ client, bucket, timeout = 30_000, sse = {}, redirect }: AwsBucketOptions) {
    this.scope = scopeOf(client, bucket)
    this.#client = singleAttempts(client)
    this.#bucket = bucket
    this.#timeout = timeout
    this.#sse = sse
    if (redirect !== undefined)
      this.presign = (key, answer) =>
        redirect(new GetObjectCommand({ ...this.#at(key), ...answerFields(answer) }))
  }

  get(key: string, options: GetOptions = {}): Promise<FetchedObject | null> {
    const { range, ifMatch, versionId, signal } = options
    const timeout = this.#timeout
    return attempt(
      { signal, timeout, isConditional: ifMatch !== undefined },
      async (abortSignal) => {
        const command = new GetObjectCommand({
          ...this.#at(key),
          Range: range && rangeField(range),
          IfMatch: ifMatch,
          VersionId: versionId,
        })
        const output = await this.#client.send(command, { abortSignal }).catch(nullIfAbsent)
        if (output === null) return null
        if (range !== undefined && output.ContentRange === undefined) {
          throw new BucketError('unsupported', 'InvalidRange')
        }
        return { ...infoOf(output), ...openBody(output.Body, { signal, timeout }) }
      },
    )
  }

  head(key: string, { signal }: RequestOptions = {}): Promise<ObjectInfo | null> {
    return attempt({ signal, timeout: this.#timeout }, async (abortSignal) => {
      const command = new HeadObjectCommand(this.#at(key))
      const output = await this.#client.send(command, { abortSignal }).catch(nullIfAbsent)
      return output && infoOf(output)
    })
  }

  put(key: string, chunks: readonly Uint8Array[], options: PutOptions = {}): Promise<string> {
    const { signal, ifMatch, ifNoneMatch, ...headers } = options
    const isConditional = ifMatch !== undefined
    return attempt({ signal, timeout: this.#timeout, isConditional }, async (abortSignal) => {
      const command = new PutObjectCommand({
        ...this.#at(key),
        Body: joined(chunks),
        IfMatch: ifMatch,
        IfNoneMatch: ifNoneMatch,
        ...fieldsOf(headers),
        ...this.#sse,
      })
      return present((await this.#client.send(command, { abortSignal })).ETag)
    })
  }

  delete(key: string, { signal, ifMatch }: DeleteOptions = {}): Promise<void> {
    return attempt({ signal, timeout: this.#timeout }, async (abortSignal) => {
      const command = new DeleteObjectCommand({ ...this.#at(key), IfMatch: ifMatch })
      await this.#client.send(command, { abortSignal }).catch(nullIfAbsent)
    })
  }

  list(prefix: string, { signal, after }: ListOptions = {}): Promise<ListPage> {
    return attempt({ signal, timeout: this.#timeout }, async (abortSignal) => {
      const command = new ListObjectsV2Command({
        ...this.#below(prefix),
        ContinuationToken: after,
      })
      const output = await this.#client.send(command, { abortSignal })
      const objects = (output.Contents ?? []).map((object) => ({
        key: decodeKey(present(object.Key)),
        etag: present(object.ETag),
        size: present(object.Size),
        lastModified: present(object.LastModified),
      }))
      const isLast = output.IsTruncated !== true
      return { objects, next: isLast ? null : present(output.NextContinuationToken) }
    })
  }

  createMultipart(key: string, options: RequestOptions & ObjectHeaders): Promise<string> {
    const { signal, ...headers } = options
    return attempt({ signal, timeout: this.#timeout }, async (abortSignal) => {
      const command = new CreateMultipartUploadCommand({
        ...this.#at(key),
        ...fieldsOf(headers),
        ...this.#sse,
      })
      return present((await this.#client.send(command, { abortSignal })).UploadId)
    })
  }

  uploadPart(
    key: string,
    upload: string,
    number: number,
    chunks: readonly Uint8Array[],
    { signal }: RequestOptions = {},
  ): Promise<string> {
    return attempt({ signal, timeout: this.#timeout }, async (abortSignal) => {
      const command = new UploadPartCommand({
        ...this.#at(key),
        UploadId: upload,
        PartNumber: number,
        Body: joined(chunks),
      })
      return present((await this.#client.send(command, { abortSignal })).ETag)
    })
  }

  uploadPartCopy(
    key: string,
    upload: string,
    number: number,
    source: CopySource,
    { signal }: RequestOptions = {},
  ): Promise<string> {
    return attempt({ signal, timeout: this.#timeout * SLOW }, async (abortSignal) => {
      const command = new UploadPartCopyCommand({
        ...this.#at(key),
        UploadId: upload,
        PartNumber: number,
        CopySource: copySource(this.#bucket, source),
        CopySourceIfMatch: source.ifMatch,
        CopySourceRange: source.range === null ? undefined : rangeField(source.range),
      })
      const output = await this.#client.send(command, { abortSignal })
      return present(output.CopyPartResult?.ETag)
    })
  }

  completeMultipart(
    key: string,
    upload: string,
    parts: readonly Part[],
    { signal, ifMatch, ifNoneMatch }: RequestOptions & Condition = {},
  ): Promise<string> {
    const timeout = this.#timeout * SLOW
    return attempt(
      { signal, timeout, isConditional: ifMatch !== undefined },
      async (abortSignal) => {
        const command = new CompleteMultipartUploadCommand({
          ...this.#at(key),
          UploadId: upload,
          MultipartUpload: {
            Parts: parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag })),
          },
          IfMatch: ifMatch,
          IfNoneMatch: ifNoneMatch,
        })
        return present((await this.#client.send(command, { abortSignal })).ETag)
      },
    )
  }

  abortMultipart(key: string, upload: string, { signal }: RequestOptions = {}): Promise<void> {
    return attempt({ signal, timeout: this.#timeout }, async (abortSignal) => {
      const command = new AbortMultipartUploadCommand({ ...this.#at(key), UploadId: upload })
      await this.#client.send(command, { abortSignal }).catch(nullIfAbsent)
    })
  }

  listMultiparts(prefix: string, { signal, after }: ListOptions = {}): Promise<MultipartPage> {
    return attempt({ signal, timeout: this.#timeout }, async (abortSignal) => {
      const command = new ListMultipartUploadsCommand({
        ...this.#below(prefix),
        ...(after === undefined ? {} : markersOf(after)),
      })
      const output = await this.#client.send(command, { abortSignal })
      const uploads = (output.Uploads ?? []).map((each) => ({
        key: decodeKey(present(each.Key)),
        upload: present(each.UploadId),
        initiated: present(each.Initiated),
      }))
      const last = uploads.at(-1)
      const isLast = output.IsTruncated !== true || last === undefined
      return { uploads, next: isLast ? null : pageAfter(last) }
    })
  }

  #at(key: string) {
    return { Bucket: this.#bucket, Key: key }
  }

  /**
   * Returns the members of a request for a list. Without `EncodingType` a key with characters that
   * XML does not allow would make the answer invalid.
   */
  #below(prefix: string) {
    return { Bucket: this.#bucket, Prefix: prefix, EncodingType: 'url' } as const
  }
}
