/** A server that stops at chosen moments until the test continues or kills it. */
import { EventEmitter, once } from 'node:events'
import { createServer } from 'node:http'

import express from 'express'
import { RefusedError, UploadError, partialUpload, prepareServer } from 'partial-upload'
import type { PartialUploadOptions, StorageAdapter, Writer } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

/** The points at which a request can be stopped: in the hook, or around a call of the storage. */
export type Moment = 'onComplete' | 'openWriter' | 'write' | 'commit' | 'committed'

/** Options that a test passes as JSON. */
export interface CompletionOptions {
  readonly directory: string
  /** The points at which requests stop. */
  readonly stops: readonly Moment[]
  readonly middleware?: Partial<PartialUploadOptions<express.Request>>
}

const { directory, stops, middleware } = JSON.parse(process.argv[2] ?? '') as CompletionOptions

const events = new EventEmitter()
/** The requests that wait at a moment, in the order of their arrival. */
const waiting = new Map<string, ((order: string) => void)[]>()
let calls = 0

/** Waits until the test continues the request. */
async function stopAt(moment: Moment): Promise<string> {
  if (!stops.includes(moment)) return 'pass'
  return new Promise((resolve) => {
    waiting.set(moment, [...(waiting.get(moment) ?? []), resolve])
    events.emit(moment)
  })
}

async function onComplete(): Promise<void> {
  calls += 1
  const order = await stopAt('onComplete')
  if (order === 'fail') throw new Error('the scanner is down')
  if (order === 'full') throw new UploadError('ERR_STORAGE_FULL', { detail: 'of the hook' })
  if (order === 'refuse') throw new RefusedError(422, 'not a picture')
}

function stopping(storage: StorageAdapter): StorageAdapter {
  return {
    ...storage,
    openWriter: async (key, options) => {
      await stopAt('openWriter')
      return stoppingWriter(await storage.openWriter(key, options))
    },
  }
}

function stoppingWriter(writer: Writer): Writer {
  return {
    ...writer,
    write: async (position, chunks) => {
      await stopAt('write')
      await writer.write(position, chunks)
    },
    commit: async (state) => {
      await stopAt('commit')
      const info = await writer.commit(state)
      await stopAt('committed')
      return info
    },
  }
}

const app = express()
app.get('/calls', (_req, res) => {
  res.json(calls)
})
/** Answers when a request waits at the moment. */
app.get('/moments/:moment', (req, res, next) => {
  const { moment } = req.params
  const isTaken = (waiting.get(moment) ?? []).length > 0
  const arrival = isTaken ? Promise.resolve() : once(events, moment)
  arrival.then(() => res.end(), next)
})
/** Continues the first request that waits there. */
app.post('/moments/:moment/:order', (req, res) => {
  const { moment, order } = req.params
  waiting.get(moment)?.shift()?.(order)
  res.end()
})
const storage = stopping(fsStorage({ directory }))
app.use('/files', partialUpload({ storage, onComplete, ...middleware }))
const onError: express.ErrorRequestHandler = (error: unknown, _req, res, next) => {
  if (res.headersSent) next(error)
  else res.status(500).set('X-Error', String(error)).end()
}
app.use(onError)

const server = prepareServer(createServer(app))
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as { port: number }
  console.log(JSON.stringify({ port, pid: process.pid }))
})
