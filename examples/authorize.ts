/**
 * Logged-in users, a folder for each of them, and a row for each file: `curl -H 'Authorization: Bearer
 * ann-token' …`.
 */

import express, { type Express, type RequestHandler } from 'express'
import { RefusedError, partialUpload, prepareServer, type StorageAdapter } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

import { listDirectory, listFiles } from './list.ts'

interface User {
  readonly name: string
  /** Largest file, in bytes. */
  readonly maxSize: number
}

declare global {
  namespace Express {
    interface Request {
      user?: User | undefined
    }
  }
}

/** Where the app keeps what it knows of each file; `save` replaces the row of the same key. */
export interface FileTable {
  save(row: FileRow): Promise<void>
}

export interface FileRow {
  readonly key: string
  /** The name that the client gave the file. */
  readonly name: string | null
  readonly size: number
  readonly user: string
}

const USERS = new Map<string, User>([
  ['Bearer ann-token', { name: 'ann', maxSize: 10 * 1024 ** 3 }],
  ['Bearer bob-token', { name: 'bob', maxSize: 1024 ** 2 }],
])

const signIn: RequestHandler = (req, res, next) => {
  req.user = USERS.get(req.get('authorization') ?? '')
  if (req.user) next()
  else res.set('WWW-Authenticate', 'Bearer').sendStatus(401)
}

/** `directory` is the one of the storage, in which finished files are listed. */
export function createApp(
  storage: StorageAdapter,
  table: FileTable,
  directory = './uploads',
): Express {
  const app = express()
  app.use(
    '/files',
    signIn,
    partialUpload({
      storage,
      key: (req, path) => (req.user ? `${req.user.name}/${path}` : null),
      onCreate: (req, { length }) => {
        const limit = req.user?.maxSize ?? 0
        if (length === null) throw new RefusedError(422, 'the length must be declared')
        if (length > limit) throw new RefusedError(413, `a file may have at most ${limit} bytes`)
      },
      onComplete: async (req, { key, name, size }) => {
        await table.save({ key, name, size, user: req.user?.name ?? '' })
        return { body: { key, size } }
      },
      finished: 'immutable',
      put: false,
    }),
  )
  app.get('/list', signIn, async (req, res) => {
    const folder = `${req.user?.name ?? ''}/`
    res.json(await listFiles(listDirectory(directory, folder), storage, folder))
  })
  return app
}

if (process.argv[1] === import.meta.filename) {
  const table = { save: async (row: FileRow) => console.log(row) }
  const app = createApp(fsStorage({ directory: './uploads' }), table)
  prepareServer(app.listen(3000, '127.0.0.1'))
}
