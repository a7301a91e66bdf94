/** A server that writes its events to a file, and stops forever at a chosen moment of a change. */
import { appendFileSync, readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer } from 'node:http'

import express from 'express'
import { partialUpload, prepareServer } from 'partial-upload'
import type { ChangeNotes, StorageAdapter } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

/** The moments of a change, in their order. */
export type EventMoment = 'noted' | 'changed' | 'notifying' | 'notified'

/** One line of the journal: one published or removed event. */
export interface EventLine {
  readonly type: 'published' | 'removed'
  readonly key: string
  readonly etag: string
  readonly previous?: string | null
  /** The content of the file at `path`. */
  readonly content?: string | null
  readonly hasRequest: boolean
}

/** Options that a test passes as JSON. */
export interface EventOptions {
  readonly directory: string
  /** The file that gets a line for each event. */
  readonly journal: string
  /** The file that gets a byte when a change has reached the moment. */
  readonly signal: string
  readonly moment: EventMoment | null
}

const options = JSON.parse(process.argv[2] ?? '') as EventOptions

/** Never resolves at the chosen moment. */
async function reach(moment: EventMoment): Promise<void> {
  if (moment !== options.moment) return
  appendFileSync(options.signal, '.')
  await new Promise(() => undefined)
}

/** Writes durably, as a database does, so that kills at any moment often hit the hook. */
async function write(line: EventLine): Promise<void> {
  const file = await open(options.journal, 'a')
  await file.sync()
  await file.writeFile(`${JSON.stringify(line)}\n`)
  await file.sync()
  await file.close()
}

function stopping(storage: StorageAdapter): StorageAdapter {
  const { notes } = storage
  return {
    ...storage,
    ...(notes === undefined ? {} : { notes: stoppingNotes(notes) }),
    openWriter: async (key, openOptions) => {
      const writer = await storage.openWriter(key, openOptions)
      const commit: typeof writer.commit = async (state) => {
        const info = await writer.commit(state)
        await reach('changed')
        return info
      }
      return { ...writer, commit }
    },
    remove: async (key, removeOptions) => {
      const isRemoved = await storage.remove(key, removeOptions)
      await reach('changed')
      return isRemoved
    },
  }
}

function stoppingNotes(notes: ChangeNotes): ChangeNotes {
  return {
    ...notes,
    write: async (key, note) => {
      await notes.write(key, note)
      await reach('noted')
    },
    remove: async (key) => {
      await reach('notified')
      await notes.remove(key)
    },
  }
}

const app = express()
app.use(
  '/files',
  partialUpload({
    storage: stopping(fsStorage({ directory: options.directory })),
    onPublished: async (req, { key, etag, previous, path }) => {
      await reach('notifying')
      const content = path === null ? null : readFileSync(path, 'latin1')
      const rest = { previous: previous?.etag ?? null, content, hasRequest: req !== null }
      await write({ type: 'published', key, etag, ...rest })
    },
    onRemoved: async (req, { key, etag }) => {
      await reach('notifying')
      await write({ type: 'removed', key, etag, hasRequest: req !== null })
    },
  }),
)

const server = prepareServer(createServer(app))
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as { port: number }
  console.log(JSON.stringify({ port, pid: process.pid }))
})
