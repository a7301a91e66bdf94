/**
 * Allows pages of another origin to upload (CORS).
 *
 * `cors` is mounted before the middleware, because it adds fields to all answers, and answers
 * preflights. It answers every OPTIONS request, even one that is not a preflight.
 *
 * Run: `npx tsx cors.ts`. It listens at port 3000 of 127.0.0.1. A page of https://app.example can then
 * upload with the client. The client reads the fields in `exposedHeaders`; without them it could not
 * resume.
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
