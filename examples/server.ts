/**
 * An Express server that keeps uploads in a folder: `npm start -- --directory DIR --port N`, or in a bucket:
 * `npm start -- --s3 BUCKET --endpoint URL --port N`.
 *
 * Uploads live under `/files/`; at `/` is a page for people, which gets what it shows from `/list`.
 * It prints its address once it accepts connections, and SIGTERM or SIGINT end it.
 */

import { createServer, type Server } from 'node:http'
import { parseArgs } from 'node:util'

import express from 'express'
import { partialUpload, prepareServer } from 'partial-upload'

import { listFiles } from './list.ts'
import { servePage } from './page.ts'
import { openStore } from './store.ts'

/** How long requests under way may go on after a signal, in milliseconds. */
const GRACE = 3_000

const { values } = parseArgs({
  options: {
    directory: { type: 'string', default: './uploads' },
    s3: { type: 'string' },
    endpoint: { type: 'string' },
    port: { type: 'string', default: '3000' },
  },
})

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
 * Takes no new connection, ends those that wait, and stores what has arrived of uploads. Downloads under
 * way get `GRACE`. The process ends when nothing is left to do.
 */
function stop(running: Server): void {
  running.close()
  running.closeIdleConnections()
  void uploads.close(GRACE)
  setTimeout(() => running.closeAllConnections(), GRACE).unref()
  setTimeout(() => process.exit(), 2 * GRACE).unref()
}
