/**
 * Accepts only JPEG and PNG images and PDF documents, by their file extensions and media types. Both
 * are claims of the client; on-complete.ts shows how to check the content.
 *
 * Run: `npx tsx allow-list.ts`. `npx partial-upload put a.pdf http://127.0.0.1:3000/files/` succeeds,
 * and a file with another extension is refused with 415.
 */

import path from 'node:path'

import express, { type Express } from 'express'
import { RefusedError, partialUpload, prepareServer, type StorageAdapter } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

/** The accepted file extensions and the media type of each. */
const TYPES: Readonly<Record<string, string>> = {
  '.jpg': 'image/jpeg',
  '.png': 'image/png',
  '.pdf': 'application/pdf',
}

interface Description {
  readonly key: string
  readonly name: string | null
  readonly contentType: string | null
}

/**
 * Refuses a file that is not on the list. Browsers and operating systems open a file by its extension,
 * so that the extensions of its key and of its name, and its media type, must all be the same kind.
 */
function checkType({ key, name, contentType }: Description): void {
  const type = TYPES[path.extname(key).toLowerCase()]
  const given = contentType?.split(';')[0]?.trim().toLowerCase() ?? type
  const named = TYPES[path.extname(name ?? key).toLowerCase()]
  if (type !== undefined && given === type && named === type) return
  throw new RefusedError(415, `expected one of ${Object.keys(TYPES).join(', ')}, with its type`)
}

export function createApp(storage: StorageAdapter): Express {
  const app = express()
  app.use(
    '/files',
    partialUpload({
      storage,
      // The check runs before anything is stored, and again at the end, because a later segment may have
      // another media type.
      onCreate: (_req, file) => checkType(file),
      onComplete: (_req, file) => checkType(file),
    }),
  )
  return app
}

if (process.argv[1] === import.meta.filename) {
  const app = createApp(fsStorage({ directory: './uploads' }))
  prepareServer(app.listen(3000, '127.0.0.1'))
}
