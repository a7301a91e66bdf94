import { createServer } from 'node:http'

import { FileStore } from '@tus/file-store'
import { Server } from '@tus/server'
import express from 'express'

import { serve, storageDirectory } from './serve.ts'

/** @tus/server with its file store, under Express 5 as all that store. */
const tus = new Server({
  path: '/files',
  relativeLocation: true,
  datastore: new FileStore({ directory: storageDirectory() }),
})

const app = express()
app.use((req, res) => tus.handle(req, res))

serve(createServer(app))
