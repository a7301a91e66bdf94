/**
 * Checks of a `Bucket` for everything that the S3 storage relies on. They run on the bucket in
 * memory, on real engines, and on the bucket that `S3_BUCKET` names.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'

import { BucketError } from '../../../src/storage/s3/bucket.ts'
import type {
  Bucket,
  BucketErrorKind,
  ObjectHeaders,
  ObjectInfo,
} from '../../../src/storage/s3/bucket.ts'

/** A bucket to check. */
export interface Checked {
  readonly bucket: Bucket
  /** A prefix that no other check uses. */
  readonly prefix: string
  /** Smallest part of the engine, in bytes. */
  readonly partSize: number
}

/** One requirement. */
export interface BucketCheck {
  readonly name: string
  readonly run: (checked: Checked) => Promise<void>
}

const PLAIN: ObjectHeaders = { contentType: null, contentDisposition: null, metadata: {} }

export const bucketContract: readonly BucketCheck[] = [
  {
    name: 'reads what was put, whole and in ranges',
    async run({ bucket, prefix }) {
      const key = `${prefix}a`
      const bytes = randomBytes(200_000)
      const etag = await bucket.put(key, [bytes.subarray(0, 7), bytes.subarray(7)])

      assert.deepEqual(await read(bucket, key), bytes)
      const found = await bucket.get(key, { range: { start: 70_000, end: 150_001 }, ifMatch: etag })
      assert.ok(found)
      assert.equal(found.size, bytes.length)
      assert.equal(found.etag, etag)
      assert.deepEqual(await buffer(found.body), bytes.subarray(70_000, 150_001))
      const last = await bucket.get(key, { range: { start: 199_999, end: 200_000 } })
      assert.deepEqual(last && (await buffer(last.body)), bytes.subarray(199_999))
    },
  },
  {
    name: 'reports an object alike in get, head and list',
    async run({ bucket, prefix }) {
      const key = `${prefix}a`
      const before = Date.now()
      const etag = await bucket.put(key, [Buffer.from('hello')], {
        contentType: 'text/x-one',
        contentDisposition: 'attachment',
        metadata: { pu: 'eyJ9-_' },
      })

      const head = await bucket.head(key)
      const get = await bucket.get(key)
      assert.ok(head && get)
      get.cancel()
      assert.deepEqual(infoOf(get), infoOf(head))
      assert.equal(head.etag, etag)
      assert.match(etag, /^"[^"]+"$/)
      assert.equal(head.size, 5)
      assert.equal(head.contentType, 'text/x-one')
      assert.deepEqual(head.metadata, { pu: 'eyJ9-_' })
      assert.ok(Math.abs(head.lastModified.getTime() - before) < 60_000)
      const { objects, next } = await bucket.list(prefix)
      assert.deepEqual(
        objects.map((object) => [object.key, object.etag, object.size]),
        [[key, etag, 5]],
      )
      assert.equal(next, null)
    },
  },
  {
    name: 'has no object before it is put, and none after it was deleted',
    async run({ bucket, prefix }) {
      const key = `${prefix}a`
      assert.equal(await bucket.head(key), null)
      assert.equal(await bucket.get(key), null)
      assert.equal(await bucket.get(key, { range: { start: 0, end: 1 } }), null)
      await bucket.delete(key)
      await bucket.put(key, [Buffer.from('a')])
      await bucket.delete(key)

      assert.equal(await bucket.head(key), null)
      assert.equal(await bucket.get(key), null)
      assert.deepEqual((await bucket.list(prefix)).objects, [])
    },
  },
  {
    name: 'stores and reads an empty object',
    async run({ bucket, prefix }) {
      await bucket.put(`${prefix}a`, [])

      assert.equal((await bucket.head(`${prefix}a`))?.size, 0)
      assert.equal((await read(bucket, `${prefix}a`)).length, 0)
    },
  },
  {
    name: 'replaces an object only if it has the entity tag',
    async run({ bucket, prefix }) {
      const key = `${prefix}a`
      await rejects('precondition', bucket.put(key, [Buffer.from('0')], { ifMatch: '"0"' }))
      const first = await bucket.put(key, [Buffer.from('1')])
      const second = await bucket.put(key, [Buffer.from('2')], { ifMatch: first })
      await rejects('precondition', bucket.put(key, [Buffer.from('3')], { ifMatch: first }))

      assert.equal(String(await read(bucket, key)), '2')
      assert.equal((await bucket.head(key))?.etag, second)
    },
  },
  {
    name: 'creates an object only if it does not exist',
    async run({ bucket, prefix }) {
      const key = `${prefix}a`
      await bucket.put(key, [Buffer.from('1')], { ifNoneMatch: '*' })
      await rejects('precondition', bucket.put(key, [Buffer.from('2')], { ifNoneMatch: '*' }))

      assert.equal(String(await read(bucket, key)), '1')
    },
  },
  {
    name: 'lets one of twenty creations at the same moment win',
    async run({ bucket, prefix }) {
      const key = `${prefix}a`
      const tries = Array.from({ length: 20 }, (_, index) =>
        bucket.put(key, [Buffer.from(String(index))], { ifNoneMatch: '*' }).then(
          () => index,
          (error: unknown) => kindOf(error),
        ),
      )
      const results = await Promise.all(tries)

      const winners = results.filter((result) => typeof result === 'number')
      const losers = results.filter((result) => typeof result !== 'number')
      assert.equal(winners.length, 1)
      assert.equal(String(await read(bucket, key)), String(winners[0]))
      assert.deepEqual(
        losers.filter((kind) => kind !== 'precondition' && kind !== 'conflict'),
        [],
      )
    },
  },
  {
    name: 'deletes an object only if it has the entity tag',
    async run({ bucket, prefix }) {
      const key = `${prefix}a`
      const etag = await bucket.put(key, [Buffer.from('1')])
      await rejects('precondition', bucket.delete(key, { ifMatch: '"0"' }))
      assert.ok(await bucket.head(key))
      await bucket.delete(key, { ifMatch: etag })

      assert.equal(await bucket.head(key), null)
    },
  },
  {
    name: 'reads an object only if it has the entity tag',
    async run({ bucket, prefix }) {
      await bucket.put(`${prefix}a`, [Buffer.from('1')])

      await rejects('precondition', bucket.get(`${prefix}a`, { ifMatch: '"0"' }))
    },
  },
  {
    name: 'refuses a range beyond the end',
    async run({ bucket, prefix }) {
      await bucket.put(`${prefix}a`, [Buffer.from('1')])

      await rejects('rejected', bucket.get(`${prefix}a`, { range: { start: 5, end: 6 } }))
    },
  },
  {
    name: 'lists pages in the order of UTF-8, without keys of another prefix',
    async run({ bucket, prefix }) {
      const names = ['+', 'A', 'a', 'a b', 'a/b', 'a%2F', 'é', '\u{FFFD}', '\u{1F600}', '<&>"\'']
      const keys = names.map((name) => `${prefix}l/${name}`)
      await Promise.all([...keys, `${prefix}m`].map((key) => bucket.put(key, [])))
      const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))

      const page = await bucket.list(`${prefix}l/`)
      assert.deepEqual(
        page.objects.map(({ key }) => key),
        sorted,
      )
    },
  },
  {
    name: 'lists more than a thousand objects on several pages',
    async run({ bucket, prefix }) {
      const keys = Array.from({ length: 1003 }, (_, index) => `${prefix}${1000 + index}`)
      for (let start = 0; start < keys.length; start += 50)
        await Promise.all(keys.slice(start, start + 50).map((key) => bucket.put(key, [])))

      const found: string[] = []
      let pages = 0
      for (let after: string | null | undefined; after !== null; pages += 1) {
        const page = await bucket.list(prefix, after === undefined ? {} : { after })
        found.push(...page.objects.map(({ key }) => key))
        after = page.next
      }
      assert.deepEqual(found, keys)
      assert.equal(pages, 2)
    },
  },
  {
    name: 'assembles an object from uploaded and copied parts',
    async run({ bucket, prefix, partSize }) {
      const [key, source] = [`${prefix}a b+é`, `${prefix}source +é%`]
      const bytes = randomBytes(2 * partSize + 10)
      await bucket.put(source, [bytes])
      const upload = await bucket.createMultipart(key, {
        ...PLAIN,
        contentType: 'text/x-one',
        metadata: { pu: '1' },
      })
      const range = { start: 5, end: 5 + partSize }
      const etags = [
        await bucket.uploadPartCopy(key, upload, 1, { key: source, range }),
        await bucket.uploadPart(key, upload, 2, [bytes.subarray(0, partSize)]),
        await bucket.uploadPartCopy(key, upload, 3, { key: source, range: null }),
        await bucket.uploadPart(key, upload, 9, [Buffer.from('end')]),
      ]
      assert.equal(await bucket.head(key), null)
      const parts = [1, 2, 3, 9].map((number, index) => ({ number, etag: etags[index] ?? '' }))
      const etag = await bucket.completeMultipart(key, upload, parts)

      const whole = Buffer.concat([
        bytes.subarray(5, 5 + partSize),
        bytes.subarray(0, partSize),
        bytes,
        Buffer.from('end'),
      ])
      assert.ok(whole.equals(await read(bucket, key)))
      const head = await bucket.head(key)
      assert.equal(head?.etag, etag)
      assert.equal(head?.contentType, 'text/x-one')
      assert.deepEqual(head?.metadata, { pu: '1' })
    },
  },
  {
    name: 'completes a multipart upload only if its condition holds',
    async run({ bucket, prefix }) {
      const key = `${prefix}a`
      const old = await bucket.put(key, [Buffer.from('old')])
      const created = await begin(bucket, key, 'created')
      const wrong = await begin(bucket, key, 'wrong')
      const right = await begin(bucket, key, 'right')

      await rejects('precondition', created.complete({ ifNoneMatch: '*' }))
      await rejects('precondition', wrong.complete({ ifMatch: '"0"' }))
      assert.equal(String(await read(bucket, key)), 'old')
      await right.complete({ ifMatch: old })
      assert.equal(String(await read(bucket, key)), 'right')
      await bucket.delete(key)
      const absent = await begin(bucket, key, 'absent')
      await rejects('precondition', absent.complete({ ifMatch: old }))
      const fresh = await begin(bucket, key, 'fresh')
      await fresh.complete({ ifNoneMatch: '*' })
      assert.equal(String(await read(bucket, key)), 'fresh')
    },
  },
  {
    name: 'never completes a multipart upload that was aborted',
    async run({ bucket, prefix }) {
      const key = `${prefix}a`
      const multipart = await begin(bucket, key, 'x')
      await bucket.abortMultipart(key, multipart.upload)
      await bucket.abortMultipart(key, multipart.upload)

      // Amazon S3 answers 404, Ceph and moto answer 500.
      await assert.rejects(multipart.complete({}), BucketError)
      const part = bucket.uploadPart(key, multipart.upload, 2, [Buffer.from('y')])
      await assert.rejects(part, BucketError)
      assert.equal(await bucket.head(key), null)
    },
  },
  {
    name: 'either completes or aborts, whichever comes first',
    async run({ bucket, prefix }) {
      for (let round = 0; round < 10; round += 1) {
        const key = `${prefix}${round}`
        const multipart = await begin(bucket, key, 'x')
        const [completed] = await Promise.allSettled([
          multipart.complete({ ifNoneMatch: '*' }),
          bucket.abortMultipart(key, multipart.upload),
        ])

        // After a lost answer, a second abort and a read of the object show the outcome.
        await bucket.abortMultipart(key, multipart.upload).catch(() => undefined)
        const isThere = (await bucket.head(key)) !== null
        if (completed.status === 'fulfilled') assert.ok(isThere, `round ${round}`)
        await rejectsOrSame(bucket, key, isThere, () => multipart.complete({ ifNoneMatch: '*' }))
      }
    },
  },
  {
    name: 'lists multipart uploads until they end',
    async run({ bucket, prefix }) {
      const first = await begin(bucket, `${prefix}a b`, 'x')
      const second = await begin(bucket, `${prefix}b`, 'y')
      const listed = await bucket.listMultiparts(prefix)
      assert.deepEqual(
        listed.uploads.map(({ key, upload }) => [key, upload]),
        [
          [`${prefix}a b`, first.upload],
          [`${prefix}b`, second.upload],
        ],
      )
      assert.equal(listed.next, null)
      assert.ok(listed.uploads.every(({ initiated }) => initiated.getTime() > 1e12))

      await first.complete({})
      await bucket.abortMultipart(`${prefix}b`, second.upload)
      assert.deepEqual((await bucket.listMultiparts(prefix)).uploads, [])
    },
  },
  {
    name: 'refuses to copy from an object that does not exist',
    async run({ bucket, prefix }) {
      const key = `${prefix}a`
      const upload = await bucket.createMultipart(key, PLAIN)
      const source = { key: `${prefix}none`, range: null }

      await rejects('missing', bucket.uploadPartCopy(key, upload, 1, source))
      await bucket.abortMultipart(key, upload)
    },
  },
  {
    name: 'rejects as aborted when the signal aborts',
    async run({ bucket, prefix }) {
      const controller = new AbortController()
      controller.abort()

      await rejects('aborted', bucket.head(`${prefix}a`, { signal: controller.signal }))
    },
  },
]

/** Runs the checks on a bucket one after the other, each in a prefix of its own. */
export function checkedWith(bucket: Bucket, partSize: number): Checked {
  return { bucket, prefix: `check-${randomBytes(6).toString('hex')}/`, partSize }
}

async function begin(bucket: Bucket, key: string, text: string) {
  const upload = await bucket.createMultipart(key, PLAIN)
  const etag = await bucket.uploadPart(key, upload, 1, [Buffer.from(text)])
  const complete = (condition: { ifMatch?: string; ifNoneMatch?: '*' }): Promise<string> =>
    bucket.completeMultipart(key, upload, [{ number: 1, etag }], condition)
  return { upload, complete }
}

function infoOf(info: ObjectInfo): ObjectInfo {
  const { etag, size, lastModified, contentType, metadata, versionId } = info
  return { etag, size, lastModified, contentType, metadata, versionId }
}

async function read(bucket: Bucket, key: string): Promise<Buffer> {
  const found = await bucket.get(key)
  assert.ok(found, `${key} does not exist`)
  return buffer(found.body)
}

/** A completion after an abort fails, or reports the object that an earlier one has made. */
async function rejectsOrSame(
  bucket: Bucket,
  key: string,
  isThere: boolean,
  complete: () => Promise<string>,
): Promise<void> {
  await complete().catch((error: unknown) => assert.ok(error instanceof BucketError))
  assert.equal((await bucket.head(key)) !== null, isThere)
}

async function rejects(kind: BucketErrorKind, promise: Promise<unknown>): Promise<void> {
  const outcome = await promise.then(
    () => 'success',
    (error: unknown) => kindOf(error),
  )
  assert.equal(outcome, kind)
}

function kindOf(error: unknown): BucketErrorKind {
  if (error instanceof BucketError) return error.kind
  throw error
}
