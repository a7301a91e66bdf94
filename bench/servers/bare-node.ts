import { fdatasync, type NoParamCallback } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import path from 'node:path'

import { serve, storageDirectory } from './serve.ts'

/**
 * The smallest server that stores: PUT writes a file with `writev`. Each call writes the chunks
 * that have arrived during the call before.
 */
const directory = storageDirectory()
const isDurable = process.argv[3] === 'complete'

const server = createServer((req, res) => {
  store(req).then(
    () => res.writeHead(204).end(),
    (error: unknown) => res.writeHead(500).end(String(error)),
  )
})

serve(server)

async function store(req: IncomingMessage): Promise<void> {
  const file = await open(path.join(directory, path.basename(req.url ?? '')), 'w')
  try {
    await writeAll(req, file)
    if (isDurable) await promised((done) => fdatasync(file.fd, done))
  } finally {
    await file.close()
  }
}

/** Chunks that wait to be written before the socket is paused, in bytes. */
const LIMIT = 1024 * 1024

function writeAll(req: IncomingMessage, file: FileHandle): Promise<void> {
  return new Promise((resolve, reject) => {
    let waiting: Buffer[] = []
    let size = 0
    let isWriting = false
    let isOver = false

    const write = (): void => {
      if (isWriting) return
      if (waiting.length === 0) {
        if (isOver) resolve()
        return
      }
      const batch = waiting
      waiting = []
      size = 0
      isWriting = true
      req.resume()
      file.writev(batch).then(() => {
        isWriting = false
        write()
      }, reject)
    }
    req.on('data', (chunk: Buffer) => {
      waiting.push(chunk)
      size += chunk.byteLength
      if (size >= LIMIT) req.pause()
      write()
    })
    req.on('end', () => {
      isOver = true
      write()
    })
    req.on('error', reject)
  })
}

function promised(call: (done: NoParamCallback) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    call((error) => (error === null ? resolve() : reject(error)))
  })
}
