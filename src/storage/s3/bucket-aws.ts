/** Binds the app's own client from `@aws-sdk/client-s3` to the operations that the storage needs. */

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
import type { GetObjectCommandOutput, HeadObjectCommandOutput, S3Client } from '@aws-sdk/client-s3'

import { attempt, openBody } from './bucket-attempt.ts'
import { isAbsent } from './bucket-aws-error.ts'
import { BucketError } from './bucket.ts'
import type { Bucket, CopySource, ObjectHeaders, ObjectInfo } from './bucket.ts'

/** How requests are made. */
export interface AwsBucketOptions {
  /** The app's own client. It stays the app's to destroy. */
  readonly client: S3Client
  /** Name of the bucket. */
  readonly bucket: string
  /**
   * How long one attempt may wait for its answer, in milliseconds, and a download for its next bytes. Assembling
   * and copying inside the store may take five times as long.
   *
   * @default 30_000
   */
  readonly timeout?: number
}

/** Amazon S3 may work for minutes on the completion of a large object. */
const SLOW = 5

/** One scope for all storages on a bucket through the same client. */
const scopes = new WeakMap<S3Client, Map<string, object>>()

/** Opens a bucket through a client. */
export function awsBucket({ client, bucket, timeout = 30_000 }: AwsBucketOptions): Bucket {
  const own = singleAttempts(client)
  const slow = SLOW * timeout
  const Bucket = bucket

  return {
    scope: scopeOf(client, bucket),

    get: (key, { range, ifMatch, versionId, signal } = {}) =>
      attempt({ signal, timeout, isConditional: ifMatch !== undefined }, async (abortSignal) => {
        const command = new GetObjectCommand({
          Bucket,
          Key: key,
          Range: range && rangeField(range),
          IfMatch: ifMatch,
          VersionId: versionId,
        })
        const output = await own.send(command, { abortSignal }).catch(nullIfAbsent)
        if (output === null) return null
        if (range !== undefined && output.ContentRange === undefined) {
          throw new BucketError('unsupported', 'InvalidRange')
        }
        return { ...infoOf(output), ...openBody(output.Body, { signal, timeout }) }
      }),

    head: (key, { signal } = {}) =>
      attempt({ signal, timeout }, async (abortSignal) => {
        const command = new HeadObjectCommand({ Bucket, Key: key })
        const output = await own.send(command, { abortSignal }).catch(nullIfAbsent)
        return output && infoOf(output)
      }),

    put: (key, chunks, { signal, ifMatch, ifNoneMatch, ...headers } = {}) =>
      attempt({ signal, timeout, isConditional: ifMatch !== undefined }, async (abortSignal) => {
        const command = new PutObjectCommand({
          Bucket,
          Key: key,
          Body: joined(chunks),
          IfMatch: ifMatch,
          IfNoneMatch: ifNoneMatch,
          ...fieldsOf(headers),
        })
        return present((await own.send(command, { abortSignal })).ETag)
      }),

    delete: (key, { signal, ifMatch } = {}) =>
      attempt({ signal, timeout }, async (abortSignal) => {
        const command = new DeleteObjectCommand({ Bucket, Key: key, IfMatch: ifMatch })
        await own.send(command, { abortSignal }).catch(nullIfAbsent)
      }),

    list: (prefix, { signal, after } = {}) =>
      attempt({ signal, timeout }, async (abortSignal) => {
        const command = new ListObjectsV2Command({
          Bucket,
          Prefix: prefix,
          ContinuationToken: after,
          // Otherwise a key with characters that XML can't carry would break the answer.
          EncodingType: 'url',
        })
        const output = await own.send(command, { abortSignal })
        const objects = (output.Contents ?? []).map((object) => ({
          key: decodeKey(present(object.Key)),
          etag: present(object.ETag),
          size: present(object.Size),
          lastModified: present(object.LastModified),
        }))
        return {
          objects,
          next: output.IsTruncated === true ? present(output.NextContinuationToken) : null,
        }
      }),

    createMultipart: (key, { signal, ...headers }) =>
      attempt({ signal, timeout }, async (abortSignal) => {
        const input = { Bucket, Key: key, ...fieldsOf(headers) }
        const output = await own.send(new CreateMultipartUploadCommand(input), { abortSignal })
        return present(output.UploadId)
      }),

    uploadPart: (key, upload, number, chunks, { signal } = {}) =>
      attempt({ signal, timeout }, async (abortSignal) => {
        const command = new UploadPartCommand({
          Bucket,
          Key: key,
          UploadId: upload,
          PartNumber: number,
          Body: joined(chunks),
        })
        return present((await own.send(command, { abortSignal })).ETag)
      }),

    uploadPartCopy: (key, upload, number, source, { signal } = {}) =>
      attempt({ signal, timeout: slow }, async (abortSignal) => {
        const command = new UploadPartCopyCommand({
          Bucket,
          Key: key,
          UploadId: upload,
          PartNumber: number,
          CopySource: copySource(bucket, source),
          CopySourceIfMatch: source.ifMatch,
          CopySourceRange: source.range === null ? undefined : rangeField(source.range),
        })
        const output = await own.send(command, { abortSignal })
        return present(output.CopyPartResult?.ETag)
      }),

    completeMultipart: (key, upload, parts, { signal, ifMatch, ifNoneMatch } = {}) => {
      const isConditional = ifMatch !== undefined
      return attempt({ signal, timeout: slow, isConditional }, async (abortSignal) => {
        const command = new CompleteMultipartUploadCommand({
          Bucket,
          Key: key,
          UploadId: upload,
          MultipartUpload: {
            Parts: parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag })),
          },
          IfMatch: ifMatch,
          IfNoneMatch: ifNoneMatch,
        })
        return present((await own.send(command, { abortSignal })).ETag)
      })
    },

    abortMultipart: (key, upload, { signal } = {}) =>
      attempt({ signal, timeout }, async (abortSignal) => {
        const command = new AbortMultipartUploadCommand({ Bucket, Key: key, UploadId: upload })
        await own.send(command, { abortSignal }).catch(nullIfAbsent)
      }),

    listMultiparts: (prefix, { signal, after } = {}) =>
      attempt({ signal, timeout }, async (abortSignal) => {
        const command = new ListMultipartUploadsCommand({
          Bucket,
          Prefix: prefix,
          EncodingType: 'url',
          ...(after === undefined ? {} : markersOf(after)),
        })
        const output = await own.send(command, { abortSignal })
        const uploads = (output.Uploads ?? []).map((each) => ({
          key: decodeKey(present(each.Key)),
          upload: present(each.UploadId),
          initiated: present(each.Initiated),
        }))
        const last = uploads.at(-1)
        const isLast = output.IsTruncated !== true || last === undefined
        return { uploads, next: isLast ? null : `${last.upload} ${last.key}` }
      }),
  }
}

/**
 * The client as this storage uses it: one attempt for each request, because a retry inside the client would hide
 * that the first one may have taken effect, and no checksums that older engines refuse. The app's own client and
 * its settings stay as they are.
 */
function singleAttempts(client: S3Client): S3Client {
  const middlewareStack = client.middlewareStack.clone()
  middlewareStack.add((next) => next, {
    name: 'retryMiddleware',
    step: 'finalizeRequest',
    priority: 'high',
    override: true,
  })
  const config = {
    ...client.config,
    requestChecksumCalculation: () => Promise.resolve('WHEN_REQUIRED'),
    responseChecksumValidation: () => Promise.resolve('WHEN_REQUIRED'),
  }
  const own: unknown = Object.create(client, {
    middlewareStack: { value: middlewareStack },
    config: { value: config },
  })
  if (!isLike(own, client)) throw new TypeError('expected an S3Client')
  return own
}

function isLike<T extends object>(value: unknown, model: T): value is T {
  return Object.prototype.isPrototypeOf.call(model, Object(value))
}

function scopeOf(client: S3Client, bucket: string): object {
  const known = scopes.get(client) ?? new Map<string, object>()
  scopes.set(client, known)
  const scope = known.get(bucket) ?? {}
  known.set(bucket, scope)
  return scope
}

function nullIfAbsent(error: unknown): null {
  if (isAbsent(error)) return null
  throw error
}

/** A member without which an answer is useless. An answer that was cut off may lack it. */
function present<T>(value: T | undefined): T {
  if (value === undefined) throw new BucketError('unavailable', null)
  return value
}

function infoOf(output: GetObjectCommandOutput | HeadObjectCommandOutput): ObjectInfo {
  const total =
    'ContentRange' in output ? /\/(\d+)$/.exec(output.ContentRange ?? '')?.[1] : undefined
  return {
    etag: present(output.ETag),
    size: total === undefined ? present(output.ContentLength) : Number(total),
    lastModified: present(output.LastModified),
    contentType: output.ContentType ?? null,
    metadata: output.Metadata ?? {},
    versionId: output.VersionId ?? null,
  }
}

function fieldsOf({ contentType, contentDisposition, metadata }: Partial<ObjectHeaders>) {
  return {
    ContentType: contentType ?? undefined,
    ContentDisposition: contentDisposition ?? undefined,
    Metadata: metadata && { ...metadata },
  }
}

/** One buffer, because the client signs the hash of a buffer, and can't send a list of them. */
function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [first] = chunks
  return first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks)
}

function rangeField({ start, end }: { readonly start: number; readonly end: number }): string {
  return `bytes=${start}-${end - 1}`
}

function copySource(bucket: string, { key, versionId }: CopySource): string {
  const path = [bucket, ...key.split('/')].map(encodeURIComponent).join('/')
  return versionId === undefined ? path : `${path}?versionId=${encodeURIComponent(versionId)}`
}

/** Amazon S3 writes a space as `+` in a list, other engines write `%20`. */
function decodeKey(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '))
}

/** Upload ids contain no space, keys may. */
function markersOf(after: string) {
  const space = after.indexOf(' ')
  return { UploadIdMarker: after.slice(0, space), KeyMarker: after.slice(space + 1) }
}
