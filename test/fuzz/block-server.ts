/**
 * A server that reports how long its event loop was blocked. It has a process of its own, so that
 * the work of the client does not count. The argument is the name of a store, or `express` for
 * Express alone. Each message of the parent resets the measurement, and is answered with the
 * result.
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

/** Longest time between two turns of the event loop since the last message, in milliseconds. */
export interface Block {
  /** By the clock, so that the time of other processes counts too. */
  readonly wall: number
  /** Processor time of this thread. */
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
// A shorter interval would show no more, because the timer fires at most once in a turn of the
// event loop.
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

/**
 * Returns both times, in milliseconds. The first number of the file is the processor time in
 * nanoseconds.
 */
function sample(): Block {
  const size = readSync(schedule, text, 0, text.length, 0)
  const cpu = Number(text.toString('latin1', 0, size).split(' ')[0]) / 1e6
  return { wall: performance.now(), cpu }
}
