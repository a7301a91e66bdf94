/** A row for each published file, also if the process ends between the publication and the row. */

import express, { type Express } from 'express'
import { partialUpload, prepareServer, type StorageAdapter } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

export interface FileRow {
  readonly key: string
  /** Identifies the version of the file: a row with the same tag says the same. */
  readonly etag: string
  readonly size: number
}

/** Two tables of a database. */
export interface FileTables {
  /** Stores that this file is about to be published; again has no effect. */
  expect(key: string): Promise<void>
  /** The files that are about to be published. */
  expected(): Promise<readonly string[]>
  /** In one transaction: stores the row instead of one with the same key, and does not expect it any more. */
  save(row: FileRow): Promise<void>
  /** Removes the row. */
  remove(key: string): Promise<void>
}

export function createApp(storage: StorageAdapter, tables: FileTables): Express {
  const app = express()
  app.use(
    '/files',
    partialUpload({
      storage,
      onComplete: (_req, { key }) => tables.expect(key),
      onPublished: (_req, { key, etag, size }) => tables.save({ key, etag, size }),
      onRemoved: (_req, { key }) => tables.remove(key),
    }),
  )
  return app
}

/** Saves the rows that an earlier process has not saved. Called before the server listens. */
export async function recover(storage: StorageAdapter, tables: FileTables): Promise<void> {
  for (const key of await tables.expected()) {
    const file = await storage.head(key)
    // An upload that is still incomplete calls onComplete again.
    if (file?.complete === true) await tables.save({ key, etag: file.etag, size: file.size })
  }
}

if (process.argv[1] === import.meta.filename) {
  const storage = fsStorage({ directory: './uploads' })
  const rows = new Map<string, FileRow>()
  const app = createApp(storage, {
    expect: async () => undefined,
    expected: async () => [],
    save: async (row) => console.log(rows.set(row.key, row)),
    remove: async (key) => console.log(rows.delete(key)),
  })
  prepareServer(app.listen(3000, '127.0.0.1'))
}
