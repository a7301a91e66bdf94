/**
 * A server of a torture run: two stores, and the expiry of one of them on request. It does without
 * Express, which takes a third of the time of a start.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import path from 'node:path'

import { expireIncomplete, memoryLocker, partialUpload, prepareServer } from 'partial-upload'
import { fsLocker, fsStorage } from 'partial-upload/storage/fs'

/** The argument of the process, as JSON. */
export interface TortureChildOptions {
  readonly directory: string
  /** Whether another process writes to the same files. */
  readonly isShared: boolean
  /** Whether patches are layers. */
  readonly hasLayers: boolean
}

const { directory, isShared, hasLayers } = JSON.parse(process.argv[2] ?? '') as TortureChildOptions

function open(name: string) {
  const folder = path.join(directory, name)
  const locker = isShared ? fsLocker({ directory: folder }) : memoryLocker()
  const layers = { patch: 'layers', layersAbove: 0, rebuildAfter: 20 } as const
  return { storage: fsStorage({ directory: folder, ...(hasLayers ? layers : {}) }), locker }
}

const files = open('files')
const stale = open('stale')
const mounts = { '/files': partialUpload(files), '/stale': partialUpload(stale) }

function listen(req: IncomingMessage, res: ServerResponse): void {
  const fail = (error: unknown): void => {
    const text = error instanceof Error ? error.stack : String(error)
    if (res.headersSent) res.destroy()
    else res.writeHead(500).end(text)
  }
  for (const [mount, middleware] of Object.entries(mounts)) {
    if (req.url?.startsWith(`${mount}/`) !== true) continue
    req.url = req.url.slice(mount.length)
    middleware(req, res, fail)
    return
  }
  expireIncomplete({ ...stale, expireAfter: 0 }).then((keys) => res.end(JSON.stringify(keys)), fail)
}

const server = prepareServer(createServer(listen))
server.keepAliveTimeout = 0
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as { port: number }
  console.log(JSON.stringify({ port, pid: process.pid }))
})
