/**
 * Opens a bucket of an object store for uploads. Any number of servers may share it.
 *
 * Run: `npm start -- --s3 BUCKET --endpoint URL`. The SDK finds the credentials as all AWS tools do,
 * for example in `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. If the store lacks a feature that
 * uploads need, the start fails with a message that names it.
 */

import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { s3Storage } from 'partial-upload/storage/s3'

import type { ListedFile } from './list.ts'
import type { Store } from './store.ts'

/** The prefix under which `s3Storage` keeps incomplete resources. They are not listed as files. */
const HIDDEN = '.partial-upload/'

/** Opens a bucket of Amazon S3, or of another store at `endpoint`. */
export async function openBucket(bucket: string, endpoint?: string): Promise<Store> {
  const client = new S3Client({
    region: process.env['AWS_REGION'] ?? 'us-east-1',
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
  })
  const storage = s3Storage({ client, bucket })
  await storage.probe()
  return { storage, listFinished: (folder) => listObjects(client, bucket, folder) }
}

/** Lists the finished files, which are objects under their keys. S3 returns up to 1,000 at a time. */
async function* listObjects(
  client: S3Client,
  bucket: string,
  folder = '',
): AsyncGenerator<ListedFile, void, undefined> {
  let token: string | undefined
  do {
    const query = { Bucket: bucket, Prefix: folder, ContinuationToken: token }
    const command = new ListObjectsV2Command(query)
    const { Contents = [], NextContinuationToken } = await client.send(command)
    for (const { Key: name = '', Size: size = 0, LastModified: time = new Date(0) } of Contents) {
      if (name.startsWith(HIDDEN)) continue
      const key = name.slice(folder.length)
      yield { key, size, length: size, complete: true, modified: time.toISOString() }
    }
    token = NextContinuationToken
  } while (token !== undefined)
}
