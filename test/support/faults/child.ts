/** A server in a process of its own, which a test can kill and trace. */
import { createServer } from 'node:http'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import express from 'express'
import { partialUpload, prepareServer } from 'partial-upload'
import type { PartialUploadOptions } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'
import type { FsStorageOptions } from 'partial-upload/storage/fs'

/** Options that a test passes as JSON. */
export interface ChildOptions {
  readonly directory: string
  readonly storage?: Omit<FsStorageOptions, 'directory'>
  readonly middleware?: Partial<PartialUploadOptions<express.Request>>
}

const { directory, storage, middleware } = JSON.parse(process.argv[2] ?? '') as ChildOptions

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Resident bytes of the process; null if no handle is free to read them. */
function rss(): number | null {
  try {
    return process.memoryUsage.rss()
  } catch {
    return null
  }
}

const app = express()
app.get('/memory', (_req, res) => {
  collect()
  res.json({ heap: getHeapStatistics().used_heap_size, rss: rss() })
})
app.use('/files', partialUpload({ storage: fsStorage({ directory, ...storage }), ...middleware }))
const onError: express.ErrorRequestHandler = (error: unknown, _req, res, next) => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  if (res.headersSent) next(error)
  else res.status(500).set('X-Error', code).end()
}
app.use(onError)

const server = prepareServer(createServer({ connectionsCheckingInterval: 100 }, app))
server.headersTimeout = 500
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as { port: number }
  console.log(JSON.stringify({ port, pid: process.pid }))
})
