/** Lets pages of another origin upload, and read what they need to resume. */

import express, { type Express } from 'express'
import { partialUpload, prepareServer, type StorageAdapter } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

const CORS = {
  'Access-Control-Allow-Origin': 'https://app.example',
  'Access-Control-Allow-Methods': 'GET, HEAD, PUT, PATCH, DELETE, OPTIONS',
  'Access-Control-Allow-Headers':
    'Content-Type, If-Match, If-None-Match, If-Unmodified-Since, Prefer, Range, Content-Digest, Repr-Digest',
  'Access-Control-Expose-Headers':
    'ETag, Content-Range, Accept-Patch, Accept-Ranges, Allow, Location, Preference-Applied, Retry-After',
}

export function createApp(storage: StorageAdapter): Express {
  const app = express()
  app.use('/files', (req, res, next) => {
    res.set(CORS)
    if (req.get('Access-Control-Request-Method') === undefined) next()
    else res.sendStatus(204)
  })
  app.use('/files', partialUpload({ storage }))
  return app
}

if (process.argv[1] === import.meta.filename) {
  const app = createApp(fsStorage({ directory: './uploads' }))
  prepareServer(app.listen(3000, '127.0.0.1'))
}
