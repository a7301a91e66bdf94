import { createServer } from 'node:http'

import express from 'express'
import { partialUpload, prepareServer } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

import { serve, storageDirectory } from './serve.ts'

const DURABILITIES = ['complete', 'segment', 'never'] as const

/** This package under Express 5. The second argument sets `fsync`, and the third one `patch`. */
const fsync = DURABILITIES.find((name) => name === process.argv[3]) ?? 'complete'
const patch = process.argv[4] === 'copy' ? 'copy' : 'layers'
const storage = fsStorage({ directory: storageDirectory(), fsync, patch })
const app = express()
// The multipart case sends one part per MiB.
app.use('/files', partialUpload({ storage, maxParts: 2 ** 20 }))

serve(prepareServer(createServer(app)))
