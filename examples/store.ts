/** Opens the store of `npm start`: a directory, or a bucket of an object store. */

import type { StorageAdapter } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

import { listDirectory, type ListedFile } from './list.ts'

/** A storage, and a function that lists its finished files, which the storage itself does not offer. */
export interface Store {
  readonly storage: StorageAdapter
  /** Lists the files of a folder such as `ann/`; without one, all files. */
  readonly listFinished: (folder?: string) => AsyncIterable<ListedFile>
}

/** Says which store to open. */
export interface StoreOptions {
  /** Path of the directory. It is not used if there is a bucket. */
  readonly directory: string
  /** Name of the bucket, if uploads go into one. */
  readonly s3: string | undefined
  /** URL of the object store; undefined for Amazon S3. */
  readonly endpoint: string | undefined
}

/**
 * Opens the store. The AWS SDK is loaded only for a bucket, so that it need not be installed otherwise.
 */
export async function openStore({ directory, s3, endpoint }: StoreOptions): Promise<Store> {
  if (s3 === undefined) {
    const storage = fsStorage({ directory, patch: 'layers' })
    return { storage, listFinished: (folder) => listDirectory(directory, folder) }
  }
  const { openBucket } = await import('./s3.ts')
  return openBucket(s3, endpoint)
}
