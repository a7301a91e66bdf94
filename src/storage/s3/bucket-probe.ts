/**
 * Checks that a store obeys the conditions of conditional writes, on which the safety of the
 * storage depends. Some stores ignore these fields without an error, and would let two writers
 * overwrite each other.
 */

import { randomUUID } from 'node:crypto'

import { BucketError } from './bucket.ts'
import type { Bucket, BucketErrorKind, Condition } from './bucket.ts'

const NO_HEADERS = { contentType: null, contentDisposition: null, metadata: {} }
const BYTES = [Buffer.from('partial-upload')]

/** Tries each condition on a small object below `prefix`, and deletes the object afterwards. */
export async function probeBucket(bucket: Bucket, prefix: string): Promise<void> {
  const key = `${prefix}probe/${randomUUID()}`
  try {
    await probePut(bucket, key)
    await probeComplete(bucket, key)
    await probeDelete(bucket, key)
  } finally {
    await bucket.delete(key).catch(() => undefined)
  }
}

/** Checks the conditions of a write in one request. */
async function probePut(bucket: Bucket, key: string): Promise<void> {
  await bucket.put(key, BYTES, { ifNoneMatch: '*' })
  await expectRefusal('If-None-Match: * of PutObject', bucket.put(key, BYTES, { ifNoneMatch: '*' }))
  await expectRefusal('If-Match of PutObject', bucket.put(key, BYTES, { ifMatch: '"0"' }))
  const etag = await etagOf(bucket, key)
  const next = await bucket.put(key, [Buffer.from('next')], { ifMatch: etag })
  if ((await etagOf(bucket, key)) !== next) throw lacking('a read of what was just written')
}

/**
 * Checks the conditions of the completion of a multipart upload, with a part that is copied from
 * the object itself.
 */
async function probeComplete(bucket: Bucket, key: string): Promise<void> {
  const complete = async (condition: Condition): Promise<string> => {
    const upload = await bucket.createMultipart(key, NO_HEADERS)
    try {
      const source = { key, range: null }
      const etag = await bucket.uploadPartCopy(key, upload, 1, source)
      return await bucket.completeMultipart(key, upload, [{ number: 1, etag }], condition)
    } catch (error) {
      await bucket.abortMultipart(key, upload).catch(() => undefined)
      throw error
    }
  }
  const name = 'of CompleteMultipartUpload'
  await expectRefusal(`If-None-Match: * ${name}`, complete({ ifNoneMatch: '*' }))
  await expectRefusal(`If-Match ${name}`, complete({ ifMatch: '"0"' }))
  await complete({ ifMatch: await etagOf(bucket, key) })
}

/** Checks the condition of a deletion. */
async function probeDelete(bucket: Bucket, key: string): Promise<void> {
  await expectRefusal('If-Match of DeleteObject', bucket.delete(key, { ifMatch: '"0"' }))
  await bucket.delete(key, { ifMatch: await etagOf(bucket, key) })
}

/** Returns the entity tag of the object, which was just written. */
async function etagOf(bucket: Bucket, key: string): Promise<string> {
  const found = await bucket.head(key)
  if (found === null) throw lacking('a read of what was just written')
  return found.etag
}

/** 409 counts as a refusal too: Amazon S3 answers it when two requests on the same key overlap. */
const REFUSALS: readonly BucketErrorKind[] = ['precondition', 'conflict']

/** Throws unless the store refuses `request`, whose condition does not hold. */
async function expectRefusal(condition: string, request: Promise<unknown>): Promise<void> {
  try {
    await request
  } catch (error) {
    if (error instanceof BucketError && REFUSALS.includes(error.kind)) return
    throw error
  }
  throw lacking(condition)
}

function lacking(what: string): Error {
  return new Error(`the object store lacks ${what}; two writers could overwrite each other`)
}
