/**
 * Keeps a table of all published files up to date: the app saves a row after each publication, and
 * the middleware repeats the call if the process ended before the row was saved. A call may therefore
 * come twice for one version, so that `save` and `remove` have to be idempotent.
 *
 * Run: `npx tsx published.ts`. `npx partial-upload put FILE http://127.0.0.1:3000/files/` makes it
 * print the table, and `npx partial-upload rm` for the same file removes the row.
 */

import express, { type Express } from 'express'
import { partialUpload, prepareServer, type StorageAdapter } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

export interface FileRow {
  readonly key: string
  /** Entity tag of the version. Rows with the same tag are equal. */
  readonly etag: string
  readonly size: number
}

/** A table of the app's database. */
export interface FileTable {
  /** Saves a row, and replaces the one with the same key. */
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
