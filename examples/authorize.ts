/**
 * Only logged-in users may upload. Each user has a folder of their own, a limit, and a list of their
 * files. The app saves a row for each finished file.
 *
 * Run: `npx tsx authorize.ts`. Upload a file as the user ann: `PARTIAL_UPLOAD_TOKEN=ann-token npx
 * partial-upload put FILE http://127.0.0.1:3000/files/`. The server prints the row. `curl -H
 * 'Authorization: Bearer ann-token' http://127.0.0.1:3000/list` prints the list of ann's files. A
 * request without a token is answered with 401.
 */

import express, { type Express, type RequestHandler } from 'express'
import { RefusedError, partialUpload, prepareServer, type StorageAdapter } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

import { listDirectory, listFiles } from './list.ts'

interface User {
  readonly name: string
  /** Largest size of one file, in bytes. */
  readonly maxSize: number
}

declare global {
  namespace Express {
    interface Request {
      user?: User | undefined
    }
  }
}

/** A table of the app's database. `save` replaces a row with the same key. */
export interface FileTable {
  save(row: FileRow): Promise<void>
}

export interface FileRow {
  readonly key: string
  /** Name of the file on the user's machine; null if the client has not sent it. */
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

/** Creates the app. `directory` is that of the storage; finished files are listed from it. */
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
