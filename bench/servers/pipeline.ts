import { createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'

import express from 'express'

import { serve, storageDirectory } from './serve.ts'

const directory = storageDirectory()

/** What an app writes by hand: PUT writes a file, PATCH appends to it, HEAD tells its size. */
const app = express()
app.use((req, res) => answer(req, res))

serve(createServer(app))

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const file = path.join(directory, path.basename(req.url ?? ''))
  if (req.method === 'HEAD') {
    const { size } = await stat(file)
    res.setHeader('Content-Length', size)
  } else {
    await pipeline(req, createWriteStream(file, { flags: req.method === 'PATCH' ? 'a' : 'w' }))
    res.statusCode = 204
  }
  res.end()
}
