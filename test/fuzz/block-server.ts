/**
 * A server that reports how long its event loop was blocked. A process of its own: what the client
 * does must not count. Started with the name of a store, or `express` for Express alone; each
 * message resets, and is answered.
 */
import { once } from 'node:events'
import { closeSync, openSync, readSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'

import express from 'express'

import { partialUpload } from '../../src/server/express.ts'
import { prepareServer } from '../../src/server/prepare-server.ts'
import { openStore } from '../support/storage/stores.ts'

/** The longest stretches of the event loop since the last message, in milliseconds. */
export interface Block {
  /** By the clock: other processes count, too. */
  readonly wall: number
  /** Time that this thread had the processor. */
  readonly cpu: number
}

const directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-block-'))
const server = prepareServer(http.createServer(createApp(process.argv[2])))
server.listen(0, '127.0.0.1')
await once(server, 'listening')

const schedule = openSync('/proc/thread-self/schedstat', 'r')
const text = Buffer.alloc(64)
let before = sample()
let worst: Block = { wall: 0, cpu: 0 }
// Twice a millisecond would be too often to learn more: between two calls lies one turn of the
// loop.
const timer = setInterval(() => {
  const now = sample()
  worst = {
    wall: Math.max(worst.wall, now.wall - before.wall),
    cpu: Math.max(worst.cpu, now.cpu - before.cpu),
  }
  before = now
}, 1)

process.on('message', () => {
  process.send!({ ...worst, port: (server.address() as { port: number }).port })
  worst = { wall: 0, cpu: 0 }
})
process.on('disconnect', () => {
  clearInterval(timer)
  closeSync(schedule)
  server.closeAllConnections()
  server.close()
  void rm(directory, { recursive: true, force: true })
})
process.send!('ready')

function createApp(kind: string | undefined): http.RequestListener {
  if (kind === 'express') {
    return express().use('/files', (req, res) => {
      req.on('data', () => undefined).on('end', () => res.end())
    })
  }
  const storage = openStore(kind === 'fs' ? 'fs' : 'memory', directory)
  return express().use('/files', partialUpload({ storage }))
}

/** Times so far, in milliseconds; the first number of the file is nanoseconds on the processor. */
function sample(): Block {
  const size = readSync(schedule, text, 0, text.length, 0)
  const cpu = Number(text.toString('latin1', 0, size).split(' ')[0]) / 1e6
  return { wall: performance.now(), cpu }
}
