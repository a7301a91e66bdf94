/** A folder for each user, and a limit: `curl -H 'Authorization: Bearer ann-token' …`. */

import express, { type Express, type Request, type RequestHandler } from 'express'
import { RefusedError, partialUpload, prepareServer, type StorageAdapter } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

interface User {
  readonly name: string
  /** Largest file, in bytes. */
  readonly maxSize: number
}

interface UserRequest extends Request {
  user?: User
}

const USERS = new Map<string, User>([
  ['Bearer ann-token', { name: 'ann', maxSize: 10 * 1024 ** 3 }],
  ['Bearer bob-token', { name: 'bob', maxSize: 1024 ** 2 }],
])

const signIn: RequestHandler = (req: UserRequest, res, next) => {
  const user = USERS.get(req.get('authorization') ?? '')
  if (user === undefined) {
    res.set('WWW-Authenticate', 'Bearer').sendStatus(401)
    return
  }
  req.user = user
  next()
}

export function createApp(storage: StorageAdapter): Express {
  const app = express()
  app.use(
    '/files',
    signIn,
    partialUpload({
      storage,
      key: (req: UserRequest, path) => (req.user && path ? `${req.user.name}/${path}` : null),
      onCreate: (req, { length }) => {
        const limit = req.user?.maxSize ?? 0
        if (length === null) throw new RefusedError(422, 'say how long the file will be')
        if (length > limit) throw new RefusedError(413, `your files have at most ${limit} bytes`)
      },
      immutableAfterComplete: true,
      allowPut: false,
    }),
  )
  return app
}

if (process.argv[1] === import.meta.filename) {
  const app = createApp(fsStorage({ directory: './uploads' }))
  prepareServer(app.listen(3000, '127.0.0.1'))
}
