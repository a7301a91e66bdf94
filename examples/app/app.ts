/** An app: session login, a folder for each user, a row for each file, a quota, thumbnails. */

import compression from 'compression'
import express from 'express'
import session from 'express-session'
import helmet from 'helmet'
import { RefusedError, partialUpload, prepareServer } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'
import sharp from 'sharp'

import { openTables, type Tables } from './tables.ts'

declare module 'express-session' {
  interface SessionData {
    user: string
  }
}

export interface AppOptions {
  readonly tables: Tables
  /** The directory of the files. */
  readonly directory: string
  /** Signs the cookie of the session. */
  readonly secret: string
  /** Bytes that the files of one user may have together. */
  readonly quota: number
}

export function createApp({ tables, directory, secret, quota }: AppOptions) {
  const app = express()
  app.use(helmet(), compression())
  // The sessions are in memory; a real app has a `store` of its database.
  const cookie = { sameSite: 'lax', secure: 'auto' } as const
  app.use(session({ secret, cookie, resave: false, saveUninitialized: false }))

  app.post('/login', express.json(), (req, res, next) => {
    const { name, password } = credentials(req.body)
    if (!tables.isPassword(name, password)) {
      res.sendStatus(403)
      return
    }
    // A new session ID prevents session fixation.
    req.session.regenerate((error: unknown) => {
      req.session.user = name
      if (error) next(error)
      else res.sendStatus(204)
    })
  })
  app.use((req, res, next) => {
    if (req.session.user === undefined) res.sendStatus(401)
    else next()
  })

  const tooMuch = () => new RefusedError(413, `your files have at most ${quota} bytes together`)
  const uploads = partialUpload({
    storage: fsStorage({ directory }),
    key: (req, path) => `${req.session.user}/${path}`,
    owner: (req) => req.session.user ?? null,
    maxSize: quota,
    maxIncompleteBytesPerOwner: quota,
    expireAfter: 24 * 60 * 60 * 1000,
    // Early, before the client has sent the file for nothing.
    onCreate: (_req, { key, length }) => {
      if (tables.bytesBeside(userOf(key), key) + (length ?? 0) > quota) throw tooMuch()
    },
    // Again, because other files may have been finished since, and because a file can grow.
    onComplete: (_req, { key, size }) => {
      if (!tables.reserve(userOf(key), key, size, quota)) throw tooMuch()
    },
    // Without `req`, which is null when the hook is called again after a crash.
    onPublished: async (_req, { key, size, etag, contentType: type, path }) => {
      const thumbnail = path !== null && type?.startsWith('image/') ? await shrink(path) : null
      tables.save({ key, owner: userOf(key), size, etag, type, thumbnail })
    },
    onRemoved: (_req, { key }) => tables.remove(key),
  })
  app.use('/files', uploads)

  app.get('/list', (req, res) => {
    const rows = tables.list(req.session.user ?? '')
    res.json(
      rows.map(({ key, size, thumbnail }) => ({
        name: key.slice(key.indexOf('/') + 1),
        size,
        hasThumbnail: thumbnail !== null,
      })),
    )
  })
  app.get('/thumbnails/*path', (req, res) => {
    const thumbnail = tables.find([req.session.user, ...req.params.path].join('/'))?.thumbnail
    if (thumbnail) res.type('image/webp').send(thumbnail)
    else res.sendStatus(404)
  })
  return { app, uploads }
}

function credentials(body: unknown): { name: string; password: string } {
  const isGiven = body instanceof Object && 'name' in body && 'password' in body
  if (!isGiven) return { name: '', password: '' }
  return { name: String(body.name), password: String(body.password) }
}

/** The first segment of a key, which `key` has put there. */
function userOf(key: string): string {
  return key.slice(0, key.indexOf('/'))
}

/** Makes a thumbnail; null for bytes that are not an image. An error would have the hook called again. */
async function shrink(path: string): Promise<Buffer | null> {
  const image = sharp(path, { failOn: 'error' }).rotate().resize(200, 200, { fit: 'inside' })
  return image
    .webp()
    .toBuffer()
    .catch(() => null)
}

if (process.argv[1] === import.meta.filename) {
  const { PORT = '3000', DIRECTORY = './uploads', QUOTA = '1000000000', SECRET } = process.env
  if (SECRET === undefined) throw new Error('set SECRET to a long random text')
  const tables = openTables(process.env['DATABASE'] ?? './app.sqlite')
  tables.addUser('ann', process.env['PASSWORD'] ?? 'ann')
  tables.addUser('bob', process.env['PASSWORD'] ?? 'bob')
  const options = { tables, directory: DIRECTORY, secret: SECRET, quota: Number(QUOTA) }
  const { app, uploads } = createApp(options)
  const server = prepareServer(app.listen(Number(PORT), '127.0.0.1'))
  server.on('listening', () => console.log(JSON.stringify(server.address())))
  process.once('SIGTERM', () => {
    server.close()
    void uploads.close().then(() => tables.close())
  })
}
