/**
 * Lets pages of another origin upload.
 *
 * `cors` comes first, because it adds fields to the answers, too. It answers every OPTIONS, also one that
 * is not a preflight.
 */

import cors, { type CorsOptions } from 'cors'
import express, { type Express } from 'express'
import { partialUpload, prepareServer, type StorageAdapter } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

export const CORS: CorsOptions = {
  origin: 'https://app.example',
  exposedHeaders: [
    'Content-Disposition',
    'Content-Range',
    'ETag',
    'Repr-Digest',
    'Retry-After',
    'Upload-Length',
  ],
  maxAge: 7200,
}

export function createApp(storage: StorageAdapter, options = CORS): Express {
  const app = express()
  app.use('/files', cors(options), partialUpload({ storage }))
  return app
}

if (process.argv[1] === import.meta.filename) {
  const app = createApp(fsStorage({ directory: './uploads' }))
  prepareServer(app.listen(3000, '127.0.0.1'))
}
