import { createServer } from 'node:http'

import { FileStore } from '@tus/file-store'
import { Server } from '@tus/server'

import { serve, storageDirectory } from './serve.ts'

/** @tus/server with its file store, without Express in front, which would only cost it time. */
const tus = new Server({
  path: '/files',
  relativeLocation: true,
  datastore: new FileStore({ directory: storageDirectory() }),
})

serve(createServer((req, res) => void tus.handle(req, res)))
