/** A server of a torture run on a bucket. It does without Express, which starts slowly. */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'

import { UploadError, partialUpload, prepareServer } from 'partial-upload'

import { awsBucket } from '../../../src/storage/s3/bucket-aws.ts'
import { bucketStorage } from '../../../src/storage/s3/store.ts'
import { newClient } from '../../support/s3/engine-process.ts'

/** The argument of the process, as JSON. */
export interface S3ChildOptions {
  readonly endpoint: string
  readonly bucket: string
}

const KIB = 1024

const { endpoint, bucket } = JSON.parse(process.argv[2] ?? '') as S3ChildOptions

const storage = bucketStorage({
  // Short, so that a request that hangs is repeated within a round.
  bucket: awsBucket({ client: newClient(endpoint), bucket, timeout: 700 }),
  prefix: '',
  internalPrefix: '.partial-upload/',
  memoryBudget: 1024 * KIB,
  limits: {
    // Small, so that a file of the torture has several parts. RGW takes parts from 64 KiB here.
    partSize: 128 * KIB,
    minPartSize: 64 * KIB,
    maxCopySize: 256 * KIB,
    maxParts: 40,
    maxInline: 16 * KIB,
    flushAfter: 200,
    concurrency: 4,
    publicationTimeout: 300,
    readerAge: 15_000,
    tombstoneAge: 15 * 60_000,
    garbageAge: 60 * 60_000,
  },
})
const uploads = partialUpload({ storage })

function listen(req: IncomingMessage, res: ServerResponse): void {
  req.url = req.url?.replace(/^\/files/, '')
  uploads(req, res, (error: unknown) => {
    const text = error instanceof Error ? error.stack : String(error)
    if (res.headersSent) res.destroy()
    // As Express does with an error that has a status.
    else if (error instanceof UploadError)
      res.writeHead(error.status, error.headers).end(JSON.stringify({ code: error.code }))
    else res.writeHead(500).end(text)
  })
}

const server = prepareServer(createServer(listen))
server.keepAliveTimeout = 0
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as { port: number }
  console.log(JSON.stringify({ port, pid: process.pid }))
})
