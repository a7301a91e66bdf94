/**
 * A whole server with a page, which keeps uploads in a folder or in a bucket of an object store.
 *
 * Run: `npm start -- --directory DIR --port N`, or `npm start -- --s3 BUCKET --endpoint URL --port N`.
 * `npm start -- --help` lists the options. Without `--port`, the port is the one in the variable `PORT`, or
 * 3000. It prints its address when it accepts connections. Open the address in a browser to upload files.
 * Files are at `/files/`, and the page reads their list from `/list`. Ctrl-C and SIGTERM stop the
 * server gracefully.
 */

import { createServer, type Server } from 'node:http'
import { parseArgs } from 'node:util'

import express from 'express'
import { partialUpload, prepareServer } from 'partial-upload'

import { listFiles } from './list.ts'
import { servePage } from './page.ts'
import { openStore } from './store.ts'

/** Time for the requests in progress to end after a signal, in milliseconds. */
const GRACE = 3_000

const USAGE = `npm start -- [--directory DIR | --s3 BUCKET [--endpoint URL]] [--port N]

  --directory DIR  folder of the files, ./uploads by default
  --s3 BUCKET      keep the files in a bucket of an object store
  --endpoint URL   address of the object store, if it is not Amazon's
  --port N         the environment variable PORT or 3000 by default; 0 for any free port
  --help           print this help`

const { values } = parseArgs({
  options: {
    directory: { type: 'string', default: './uploads' },
    s3: { type: 'string' },
    endpoint: { type: 'string' },
    port: { type: 'string', default: process.env.PORT ?? '3000' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(USAGE)
  process.exit()
}

const { directory, s3, endpoint } = values
const { storage, listFinished } = await openStore({ directory, s3, endpoint })
const app = express()
app.disable('x-powered-by')
const uploads = partialUpload({ storage })
app.use('/files', uploads)
app.get('/list', async (_req, res) => {
  res.set('Cache-Control', 'no-cache').json(await listFiles(listFinished(), storage))
})
app.use(await servePage())

const server = prepareServer(createServer(app))
server.listen({ host: '127.0.0.1', port: Number(values.port) }, () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null) {
    console.log(`http://127.0.0.1:${address.port}/`)
  }
})
process.once('SIGTERM', () => stop(server))
process.once('SIGINT', () => stop(server))

/**
 * Stops the server. It accepts no new connections and closes idle ones. `uploads.close` ends the
 * uploads in progress, and keeps the bytes that have arrived. Downloads may continue for `GRACE`. If
 * something still runs after twice that time, the process ends anyway.
 */
function stop(running: Server): void {
  running.close()
  running.closeIdleConnections()
  void uploads.close(GRACE)
  setTimeout(() => running.closeAllConnections(), GRACE).unref()
  setTimeout(() => process.exit(), 2 * GRACE).unref()
}
