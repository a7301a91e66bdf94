/**
 * A server for a page with Uppy's Dashboard, and for its uploads.
 *
 * Run in a clone: `node --conditions=@partial-upload/source --import tsx examples/uppy/server.ts`, with
 * the port in `PORT` (3000 by default). Open `http://127.0.0.1:3000/`, and drop files. Stop the server
 * during an upload and start it again: the upload resumes by itself.
 */
import path from 'node:path'

import { build } from 'esbuild'
import express, { type Express } from 'express'
import { partialUpload, prepareServer, type StorageAdapter } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

/**
 * The Content-Security-Policy of the page. Uppy shows previews of images from `blob:` and `data:` URLs.
 */
const POLICY = "default-src 'self'; img-src 'self' blob: data:"

/** Creates the app, which serves the bundled page from memory, and the uploads at `/files/`. */
export async function createApp(storage: StorageAdapter): Promise<Express> {
  const app = express()
  app.use('/files', partialUpload({ storage }))
  for (const { name, type, contents } of await bundle()) {
    app.get(`/${name}`, (_req, res) => void res.type(type).send(contents))
  }
  app.get('/', (_req, res) => {
    res.set('Content-Security-Policy', POLICY)
    res.sendFile(path.join(import.meta.dirname, 'index.html'))
  })
  return app
}

interface Asset {
  readonly name: string
  readonly type: string
  readonly contents: Buffer
}

async function bundle(): Promise<readonly Asset[]> {
  const { outputFiles } = await build({
    entryPoints: ['main.ts', 'main.css'].map((name) => path.join(import.meta.dirname, name)),
    outdir: import.meta.dirname,
    bundle: true,
    splitting: true,
    format: 'esm',
    minify: true,
    conditions: ['@partial-upload/source'],
    write: false,
  })
  return outputFiles.map(({ path: file, contents }) => ({
    name: path.basename(file),
    type: path.extname(file),
    contents: Buffer.from(contents),
  }))
}

if (process.argv[1] === import.meta.filename) {
  const app = await createApp(fsStorage({ directory: './uploads' }))
  const server = prepareServer(app.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1'))
  server.on('listening', () => console.log(server.address()))
}
