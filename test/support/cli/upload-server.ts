/**
 * A server for uploads into a folder, with the list of its files, as a program:
 * `upload-server.ts DIRECTORY PORT`.
 */
import express from 'express'
import { partialUpload, prepareServer } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

import { listDirectory, listFiles } from '../../../examples/list.ts'

const [directory = '', port = '0'] = process.argv.slice(2)
const storage = fsStorage({ directory })
const uploads = partialUpload({ storage })
const app = express().use('/files', uploads)
app.get('/list', async (_req, res) => {
  res.json(await listFiles(listDirectory(directory), storage))
})

const server = prepareServer(
  app.listen(Number(port), '127.0.0.1', () => {
    const address = server.address()
    if (typeof address === 'object') console.log(`http://127.0.0.1:${address?.port}/`)
  }),
)
process.once('SIGTERM', () => {
  void uploads.close().then(() => process.exit())
})
