/**
 * A server that shares its directory with other processes; with `workers` it is a cluster of them.
 */
import cluster from 'node:cluster'
import { once } from 'node:events'
import { createServer } from 'node:http'

import express from 'express'
import { expireIncomplete, partialUpload, prepareServer } from 'partial-upload'
import type { PartialUploadOptions } from 'partial-upload'
import { fsLocker, fsStorage } from 'partial-upload/storage/fs'
import type { FsStorageOptions } from 'partial-upload/storage/fs'

import { withTimes, type LockTimes } from '../storage/lock-times.ts'

/** Options that a test passes as JSON. */
export interface SharingOptions {
  readonly directory: string
  readonly workers?: number
  readonly middleware?: Partial<PartialUploadOptions<express.Request>>
  /** The times of its locker; by default those of the middleware. */
  readonly times?: LockTimes
  /** How finished files are patched. */
  readonly layers?: Partial<FsStorageOptions>
}

const options = JSON.parse(process.argv[2] ?? '') as SharingOptions
const { workers = 0 } = options

if (workers > 0 && cluster.isPrimary) {
  let port = 0
  for (let count = 0; count < workers; count += 1) {
    const [address] = (await once(cluster.fork(), 'listening')) as [{ port: number }]
    port = address.port
  }
  console.log(JSON.stringify({ port, pid: process.pid }))
} else {
  serve(options)
}

function serve({ directory, middleware, times, layers }: SharingOptions): void {
  const storage = fsStorage({ directory, fsync: 'never', ...layers })
  const shared = fsLocker({ directory })
  const locker = times === undefined ? shared : withTimes(shared, times)
  const app = express()
  app.use((_req, res, next) => {
    res.set('X-Process', String(process.pid))
    next()
  })
  app.post('/expire', (_req, res, next) => {
    expireIncomplete({ storage, locker, expireAfter: 0 }).then((keys) => res.json(keys), next)
  })
  app.use('/files', partialUpload({ storage, locker, ...middleware }))
  const server = prepareServer(createServer(app))
  server.listen(0, '127.0.0.1', () => {
    if (cluster.isWorker) return
    const { port } = server.address() as { port: number }
    console.log(JSON.stringify({ port, pid: process.pid }))
  })
}
