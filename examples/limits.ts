/**
 * A public server: limits for each IP address, incomplete uploads that expire, and a graceful stop.
 *
 * Run: `npx tsx limits.ts`, with the port in `PORT` (3000 by default). It prints its address. An answer
 * to an incomplete upload says in `Upload-Limit` when the upload expires. Too many uploads of one
 * address are refused with 429. After SIGTERM the process stores what has arrived of each upload,
 * answers, and ends.
 */

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
