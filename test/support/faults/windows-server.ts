/** A server over the file store: `node windows-server.mjs DIRECTORY`. Prints its port as JSON. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import express from 'express'

import { partialUpload, prepareServer } from '../../../src/index.ts'
import { fsStorage } from '../../../src/storage/fs.ts'

const app = express()
app.use('/files', partialUpload({ storage: fsStorage({ directory: process.argv[2] ?? '' }) }))
const server = prepareServer(createServer(app))
server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }))
})
