import { expect, test } from 'vitest'

import { BucketError } from '../../src/storage/s3/bucket.ts'
import type { Bucket, Condition } from '../../src/storage/s3/bucket.ts'
import { probeBucket } from '../../src/storage/s3/bucket-probe.ts'
import { FakeBucket } from '../support/s3/fake-bucket.ts'

const PREFIX = '.partial-upload/'

test('accepts a bucket that keeps all conditions, and leaves nothing behind', async () => {
  const bucket = new FakeBucket()

  await probeBucket(bucket, PREFIX)

  expect(bucket.keys()).toEqual([])
  expect(bucket.openUploads()).toEqual([])
  expect(bucket.faults.requests.every(({ key }) => key.startsWith(PREFIX))).toBe(true)
})

/** Methods that drop a condition, as some stores do. */
const BROKEN: readonly (readonly [string, (bucket: Bucket) => Partial<Bucket>])[] = [
  [
    'If-None-Match: * of PutObject',
    (bucket) => ({
      put: (key, chunks, options) => bucket.put(key, chunks, without('ifNoneMatch', options)),
    }),
  ],
  [
    'If-Match of PutObject',
    (bucket) => ({
      put: (key, chunks, options) => bucket.put(key, chunks, without('ifMatch', options)),
    }),
  ],
  [
    'If-None-Match: * of CompleteMultipartUpload',
    (bucket) => ({
      completeMultipart: (key, upload, parts, options) =>
        bucket.completeMultipart(key, upload, parts, without('ifNoneMatch', options)),
    }),
  ],
  [
    'If-Match of CompleteMultipartUpload',
    (bucket) => ({
      completeMultipart: (key, upload, parts, options) =>
        bucket.completeMultipart(key, upload, parts, without('ifMatch', options)),
    }),
  ],
  ['If-Match of DeleteObject', (bucket) => ({ delete: (key) => bucket.delete(key) })],
]

test.each(BROKEN)('refuses a bucket that ignores %s', async (name, breakMethods) => {
  const bucket = new FakeBucket()

  await expect(probeBucket(withMethods(bucket, breakMethods(bucket)), PREFIX)).rejects.toThrow(
    `the object store lacks ${name};`,
  )
  expect(bucket.keys()).toEqual([])
  expect(bucket.openUploads()).toEqual([])
})

test('passes on why a store refuses a request', async () => {
  const bucket = new FakeBucket()
  const error = new BucketError('denied', 'AccessDenied')
  bucket.faults.add({ operation: 'createMultipart' }, { kind: 'error', error })

  await expect(probeBucket(bucket, PREFIX)).rejects.toBe(error)
})

function without<T extends Condition>(name: keyof Condition, options: T | undefined): T {
  const rest = { ...options }
  Reflect.deleteProperty(rest, name)
  return rest as T
}

function withMethods(bucket: FakeBucket, methods: Partial<Bucket>): Bucket {
  return new Proxy(bucket, {
    get(target, name) {
      if (Object.hasOwn(methods, name)) return Reflect.get(methods, name) as unknown
      const member: unknown = Reflect.get(target, name)
      // The private members of the bucket are reached through itself only.
      return typeof member === 'function' ? (member.bind(target) as unknown) : member
    },
  })
}
