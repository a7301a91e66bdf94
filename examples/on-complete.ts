/**
 * Accepts only PNG images of at most 10 MiB. The media type is only a claim of the client, so that
 * `onComplete` checks the first bytes of the file, before it is published.
 *
 * Run: `npx tsx on-complete.ts`. `npx partial-upload put a.png http://127.0.0.1:3000/images/` succeeds.
 * Another file is refused with 415 for its type, or with 422 for its content.
 */

import { buffer } from 'node:stream/consumers'

import express, { type Express } from 'express'
import { RefusedError, partialUpload, prepareServer, type StorageAdapter } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

const PNG = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')

export function createApp(storage: StorageAdapter): Express {
  const app = express()
  app.use(
    '/images',
    partialUpload({
      storage,
      maxSize: 10 * 1024 ** 2,
      onCreate: (_req, { contentType }) => {
        if (contentType === 'image/png' || contentType === null) return
        throw new RefusedError(415, 'expected a PNG image')
      },
      onComplete: async (_req, image) => {
        const start = await buffer(image.read(0, Math.min(PNG.length, image.size)))
        if (!start.equals(PNG)) throw new RefusedError(422, 'expected a PNG image')
        return { status: 201, body: { key: image.key, size: image.size } }
      },
    }),
  )
  return app
}

if (process.argv[1] === import.meta.filename) {
  const app = createApp(fsStorage({ directory: './uploads' }))
  prepareServer(app.listen(3000, '127.0.0.1'))
}
