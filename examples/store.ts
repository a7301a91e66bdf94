/** Where `npm start` keeps uploads: a directory, or a bucket of an object store. */

import type { StorageAdapter } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

import { listDirectory, type ListedFile } from './list.ts'

/** A storage, and how its finished files are listed. */
export interface Store {
  readonly storage: StorageAdapter
  /** Lists the files of a folder such as `ann/`; without one, all files. */
  readonly listFinished: (folder?: string) => AsyncIterable<ListedFile>
}

/** Which store to open. */
export interface StoreOptions {
  readonly directory: string
  /** Name of a bucket, instead of the directory. */
  readonly s3: string | undefined
  /** URL of the object store. @default Amazon S3 */
  readonly endpoint: string | undefined
}

/** Opens the store. Only a bucket needs the AWS SDK. */
export async function openStore({ directory, s3, endpoint }: StoreOptions): Promise<Store> {
  if (s3 === undefined) {
    const storage = fsStorage({ directory, patch: 'layers' })
    return { storage, listFinished: (folder) => listDirectory(directory, folder) }
  }
  const { openBucket } = await import('./s3.ts')
  return openBucket(s3, endpoint)
}
