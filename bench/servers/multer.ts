import { createServer } from 'node:http'

import express from 'express'
import multer from 'multer'

import { serve, storageDirectory } from './serve.ts'

/** multer with its disk storage: one file in one multipart/form-data request. */
const app = express()
app.post('/files', multer({ dest: storageDirectory() }).single('file'), (_req, res) => {
  res.sendStatus(201)
})

serve(createServer(app))
