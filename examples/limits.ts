/** A public server: limits for each address, uploads that expire, and a graceful stop. */

import express, { type Request } from 'express'
import { partialUpload, prepareServer, type Middleware, type StorageAdapter } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

const GIB = 1024 ** 3
const DAY = 24 * 60 * 60 * 1000

export function createUploads(storage: StorageAdapter): Middleware<Request> {
  return partialUpload({
    storage,
    owner: (req) => req.ip ?? null,
    maxSize: 10 * GIB,
    maxUploadsPerOwner: 4,
    maxIncompletePerOwner: 20,
    maxIncompleteBytesPerOwner: 20 * GIB,
    expireAfter: 7 * DAY,
  })
}

if (process.argv[1] === import.meta.filename) {
  const uploads = createUploads(fsStorage({ directory: './uploads' }))
  const app = express()
  app.use('/files', uploads)
  const server = prepareServer(app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1'))
  server.on('listening', () => console.log(server.address()))

  process.once('SIGTERM', () => {
    server.close()
    void uploads.close()
  })
}
