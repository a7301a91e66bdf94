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

/** A table of a database. */
export interface FileTable {
  /** Stores the row instead of one with the same key. */
  save(row: FileRow): Promise<void>
  /** Removes the row, if there is one. */
  remove(key: string): Promise<void>
}

export function createApp(storage: StorageAdapter, table: FileTable): Express {
  const app = express()
  app.use(
    '/files',
    partialUpload({
      storage,
      onPublished: (_req, { key, etag, size }) => table.save({ key, etag, size }),
      onRemoved: (_req, { key }) => table.remove(key),
    }),
  )
  return app
}

if (process.argv[1] === import.meta.filename) {
  const rows = new Map<string, FileRow>()
  const app = createApp(fsStorage({ directory: './uploads' }), {
    save: async (row) => console.log(rows.set(row.key, row)),
    remove: async (key) => console.log(rows.delete(key)),
  })
  prepareServer(app.listen(3000, '127.0.0.1'))
}
