/**
 * Opens a bucket for uploads, which any number of servers may share. Credentials come from where the AWS tools take
 * them, for example from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
 */

import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { s3Storage } from 'partial-upload/storage/s3'

import type { ListedFile } from './list.ts'
import type { Store } from './store.ts'

/** Where the storage keeps incomplete resources. */
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

/** Finished files are objects under their own keys. */
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
