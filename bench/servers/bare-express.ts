import { open, stat, type FileHandle } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'

import express from 'express'

import { serve, storageDirectory } from './serve.ts'

/**
 * A server that an app could have without a package: PUT writes a file, PATCH writes content that
 * fits into memory at `Upload-Offset` with `pwrite`, HEAD answers the size by `stat`, GET is
 * Express's own `send`.
 */
const directory = storageDirectory()
const app = express()

app.put('/files/:name', async (req, res) => {
  const file = await open(fileOf(req), 'w')
  await pipeline(req, file.createWriteStream())
  res.status(204).end()
})

app.patch('/files/:name', async (req, res) => {
  const chunks: Buffer[] = []
  for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk)
  await writeAt(Number(req.headers['upload-offset']), Buffer.concat(chunks), fileOf(req))
  res.status(204).end()
})

app.head('/files/:name', async (req, res) => {
  const { size, mtime } = await stat(fileOf(req))
  res.set({ 'Content-Length': String(size), 'Last-Modified': mtime.toUTCString() }).end()
})

app.get('/files/:name', (req, res) => {
  res.sendFile(fileOf(req))
})

serve(createServer(app))

async function writeAt(position: number, bytes: Buffer, name: string): Promise<void> {
  let file: FileHandle | null = null
  try {
    file = await open(name, 'r+')
    await file.write(bytes, 0, bytes.byteLength, position)
  } finally {
    await file?.close()
  }
}

function fileOf(req: IncomingMessage): string {
  return path.join(directory, path.basename(req.url ?? ''))
}
