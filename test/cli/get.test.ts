import { createHash } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'

import express, { type Request, type RequestHandler, type Response } from 'express'
import { partialUpload } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { MiB, pattern } from '../support/client/setup.ts'
import { useCommandLine } from '../support/cli/setup.ts'

const FILE = pattern(8 * MiB + 7)

const line = useCommandLine()
const faults = new EventEmitter()
/** `short` ends the answer in the right form, but before all bytes. */
let fault: { readonly kind: 'cut' | 'stall' | 'short'; readonly after: number } | null
let ranges: (string | undefined)[]
let refusal: { readonly status: number; readonly retryAfter?: string } | null
/** Answers downloads in place of the middleware. */
let answer: ((req: Request, res: Response) => void) | null
let server: Server
let url: string

beforeEach(async () => {
  fault = null
  refusal = null
  answer = null
  ranges = []
  const app = express()
  const storage = fsStorage({ directory: line.at('uploads') })
  app.use('/files', refuseDownloads, answerDownloads, breakDownloads, partialUpload({ storage }))
  server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/files/film.mp4`
  await fetch(url, { method: 'PUT', body: FILE })
})

afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

/** The next download is refused. */
const refuseDownloads: RequestHandler = (req, res, next) => {
  if (req.method !== 'GET' || refusal === null) {
    next()
    return
  }
  const { status, retryAfter } = refusal
  refusal = null
  if (retryAfter !== undefined) res.set('Retry-After', retryAfter)
  res.status(status).json({ title: 'Busy', detail: 'come back' })
}

const answerDownloads: RequestHandler = (req, res, next) => {
  if (req.method === 'GET' && answer !== null) answer(req, res)
  else next()
}

/** The next download breaks or stalls after `after` bytes. */
const breakDownloads: RequestHandler = (req, res, next) => {
  const current = fault
  if (req.method === 'GET') {
    ranges.push(req.headers.range)
    fault = null
  }
  if (req.method === 'GET' && current !== null) {
    if (current.kind === 'short') res.setHeader = withoutLength(res.setHeader.bind(res))
    const write = res.write.bind(res) as (chunk: Uint8Array, done?: () => void) => boolean
    let sent = 0
    res.write = (chunk: Uint8Array, ...rest: unknown[]) => {
      sent += chunk.byteLength
      if (sent <= current.after) return write(chunk, ...(rest as [() => void]))
      if (current.kind === 'cut') res.destroy()
      if (current.kind === 'stall') faults.emit('stalled')
      if (current.kind === 'short') res.end()
      return false
    }
  }
  next()
}

/** Without Content-Length the answer is chunked, and a premature end looks like the real one. */
function withoutLength(setHeader: Response['setHeader']) {
  return function (this: Response, name: string, value: string): Response {
    return name.toLowerCase() === 'content-length' ? this : setHeader(name, value)
  }
}

/**
 * Starts a download, and waits until it has stored bytes that the next download does not fetch
 * again.
 */
async function interrupt(signal: NodeJS.Signals): Promise<ReturnType<typeof line.run>> {
  fault = { kind: 'stall', after: 4 * MiB }
  const stalled = once(faults, 'stalled')
  const { child, outcome } = line.start('get', url, 'got.mp4')
  await stalled
  while (
    !existsSync(line.at('got.mp4.part')) ||
    readFileSync(line.at('got.mp4.part')).length === 0
  ) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  child.kill(signal)
  return outcome
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64')
}

describe('get', () => {
  test('downloads a file, and leaves nothing beside it', async () => {
    const outcome = await line.run('get', url, 'got.mp4')

    expect(outcome).toEqual({
      code: 0,
      out: expect.stringMatching(/^got\.mp4: complete, 8\.4 MB in \d:\d\d\n$/) as string,
      err: '',
    })
    expect(readFileSync(line.at('got.mp4')).equals(FILE)).toBe(true)
    expect(readdirSync(line.folder).toSorted()).toEqual(['got.mp4', 'uploads'])
  })

  test('takes the name from the URL if it is given a folder, or nothing', async () => {
    mkdirSync(line.at('here'))

    await line.run('get', url, 'here')
    await line.run('get', url)

    expect(readFileSync(line.at('here/film.mp4')).equals(FILE)).toBe(true)
    expect(readFileSync(line.at('film.mp4')).equals(FILE)).toBe(true)
  })

  test('says which folder is missing', async () => {
    expect(await line.run('get', url, 'none/film.mp4')).toEqual({
      code: 1,
      out: '',
      err: 'partial-upload: there is no folder "none"; create it first\n',
    })
  })

  test('prints to the standard output, and resumes there after a cut', async () => {
    fault = { kind: 'cut', after: 4 * MiB }

    const command = 'node "$0" get "$1" - >printed'
    const { outcome } = line.startProgram('sh', ['-c', command, line.program, url])
    const { code, err } = await outcome

    expect(code).toBe(0)
    expect(readFileSync(line.at('printed')).equals(FILE)).toBe(true)
    expect(err).toMatch(/^standard output: trying again in 1 s: .+\nstandard output: complete, /)
    expect(ranges).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d*-$/)])
  })

  test('does not join two versions of a file in its output', async () => {
    fault = { kind: 'stall', after: 4 * MiB }
    const stalled = once(faults, 'stalled')
    const { outcome } = line.start('get', url, '-')
    await stalled

    await fetch(url, { method: 'PUT', body: pattern(FILE.length, 3) })
    server.closeAllConnections()

    expect(await outcome).toMatchObject({
      code: 1,
      err: expect.stringContaining('the bytes printed so far are not the whole file') as string,
    })
  })

  test('resumes after an answer that ends early', async () => {
    fault = { kind: 'cut', after: 4 * MiB }
    const { child, outcome } = line.start('get', url, 'got.mp4')
    await once(child.stdout, 'data')
    fault = { kind: 'short', after: MiB }

    const { code } = await outcome

    expect(code).toBe(0)
    expect(ranges).toHaveLength(3)
    expect(readFileSync(line.at('got.mp4')).equals(FILE)).toBe(true)
  })

  test.each([
    ['in seconds', () => '1'],
    ['as a date', () => new Date(Date.now() + 2500).toUTCString()],
  ])('comes back when the server says, %s', async (_how, retryAfter) => {
    refusal = { status: 503, retryAfter: retryAfter() }
    const startedAt = Date.now()

    const { code, out } = await line.run('get', url, 'got.mp4')

    expect([code, out]).toEqual([
      0,
      expect.stringMatching(/^got\.mp4: trying again in [1-3] s: come back \(503\)\n/),
    ])
    expect(Date.now() - startedAt).toBeGreaterThan(1000)
  })

  test('fails with the text of the server', async () => {
    refusal = { status: 403 }

    expect(await line.run('get', url, 'got.mp4')).toEqual({
      code: 1,
      out: '',
      err: 'partial-upload: come back (403); check the URL and your credentials\n',
    })
  })

  test('resumes after a cut, and fetches only the rest', async () => {
    fault = { kind: 'cut', after: 4 * MiB }

    const { code, out } = await line.run('get', url, 'got.mp4')

    expect([code, out]).toEqual([0, expect.stringMatching(/^got\.mp4: trying again in 1 s: /)])
    expect(ranges).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d*-$/)])
    expect(readFileSync(line.at('got.mp4')).equals(FILE)).toBe(true)
  })

  test('stops at Ctrl-C, and the same command fetches only the rest', async () => {
    const first = await interrupt('SIGINT')
    const isThere = existsSync(line.at('got.mp4'))

    const second = await line.run('get', url, 'got.mp4')

    expect([first.code, first.err, isThere]).toEqual([
      130,
      'partial-upload: stopped; run the same command again to resume\n',
      false,
    ])
    expect(second).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^got\.mp4: resuming at /) as string,
    })
    expect(ranges.at(-1)).toMatch(/^bytes=[1-9]\d*-$/)
    expect(readFileSync(line.at('got.mp4')).equals(FILE)).toBe(true)
    expect(readdirSync(line.folder).toSorted()).toEqual(['got.mp4', 'uploads'])
  })

  test('resumes after it was killed', async () => {
    await interrupt('SIGKILL')

    await line.run('get', url, 'got.mp4')

    expect(ranges.at(-1)).toMatch(/^bytes=[1-9]\d*-$/)
    expect(readFileSync(line.at('got.mp4')).equals(FILE)).toBe(true)
  })

  test('starts over when there is a new version', async () => {
    await interrupt('SIGINT')
    const other = pattern(FILE.length, 3)
    await fetch(url, { method: 'PUT', body: other })

    const { code } = await line.run('get', url, 'got.mp4')

    expect([code, readFileSync(line.at('got.mp4')).equals(other)]).toEqual([0, true])
  })

  test('requests the last byte of a file that only has to be renamed', async () => {
    const etag = (await fetch(url, { method: 'HEAD' })).headers.get('etag')
    writeFileSync(line.at('got.mp4.part'), FILE)
    writeFileSync(line.at('got.mp4.part.json'), JSON.stringify({ url, etag, size: FILE.length }))

    await line.run('get', url, 'got.mp4')

    expect(ranges).toEqual([`bytes=${FILE.length - 1}-`])
    expect(readFileSync(line.at('got.mp4')).equals(FILE)).toBe(true)
  })

  test.each([
    ['is not there', null],
    ['is cut', '{"url":'],
    ['is no object', '7'],
    ['is of another URL', '{"url":"http://127.0.0.1/","etag":"\\"a\\"","size":9}'],
    ['has no entity tag', '{"url":"URL","etag":null,"size":9}'],
    ['is of a shorter file', '{"url":"URL","etag":"\\"a\\"","size":1}'],
  ])('fetches the whole file if the note beside the bytes %s', async (_why, note) => {
    writeFileSync(line.at('got.mp4.part'), 'bytes of who knows what')
    if (note !== null) writeFileSync(line.at('got.mp4.part.json'), note.replace('URL', url))

    await line.run('get', url, 'got.mp4')

    expect(ranges).toEqual([undefined])
    expect(readFileSync(line.at('got.mp4')).equals(FILE)).toBe(true)
  })

  test('leaves an existing file alone, except with --overwrite', async () => {
    writeFileSync(line.at('got.mp4'), 'mine')

    const refused = await line.run('get', url, 'got.mp4')
    const kept = readFileSync(line.at('got.mp4'), 'utf8')
    const replaced = await line.run('get', '--overwrite', url, 'got.mp4')

    expect([refused, kept]).toEqual([
      {
        code: 3,
        out: '',
        err: 'partial-upload: got.mp4 exists; --overwrite replaces it\n',
      },
      'mine',
    ])
    expect([replaced.code, readFileSync(line.at('got.mp4')).equals(FILE)]).toEqual([0, true])
  })

  test('does not treat an unfinished upload as a file', async () => {
    await fetch(`${url}2`, {
      method: 'PATCH',
      headers: { 'Content-Type': 'message/byteranges' },
      body: 'Content-Range: bytes 0-3/10\r\n\r\nabcd',
    })

    const { code, err } = await line.run('get', `${url}2`, 'got.mp4')

    expect([code, err]).toEqual([
      1,
      'partial-upload: the upload of this file to the server is not complete yet; try again later\n',
    ])
    expect(readdirSync(line.folder)).toEqual(['uploads'])
  })

  test('does not treat a 200 with a greater Upload-Length as a finished file', async () => {
    answer = (_req, res) => res.type('bin').set('Upload-Length', '10').send('abcd')

    const { code, err } = await line.run('get', url, 'got.mp4')

    expect([code, err]).toEqual([
      1,
      'partial-upload: the upload of this file to the server is not complete yet; try again later\n',
    ])
    expect(readdirSync(line.folder)).toEqual(['uploads'])
  })

  test('starts over if a range has the same entity tag and another complete length', async () => {
    answer = (_req, res) => {
      answer = ({ headers }, rest) => {
        answer = null
        const start = Number(/[0-9]+/.exec(headers.range ?? '')?.[0])
        const range = `bytes ${start}-${start + 1}/${start + 2}`
        rest.status(206).set({ ETag: '"1"', 'Content-Range': range }).send('ef')
      }
      res.set({ ETag: '"1"', 'Content-Length': String(FILE.length) })
      res.write(FILE.subarray(0, 4 * MiB), () => res.socket?.end())
    }

    const { code } = await line.run('get', url, 'got.mp4')

    expect([code, readFileSync(line.at('got.mp4')).equals(FILE)]).toEqual([0, true])
  })

  test('fails if the resource does not exist, and leaves no file', async () => {
    const { code, err } = await line.run('get', `${url}2`, 'got.mp4')

    expect([code, err]).toEqual([
      1,
      'partial-upload: the server has nothing at this URL (404); check the URL\n',
    ])
    expect(readdirSync(line.folder)).toEqual(['uploads'])
  })

  const PAGE = '<!doctype html><title>Log in</title>'

  /** Redirects the next download. Resolves with the URL of the redirected request. */
  function redirect(status: number, location: string, type: string, tag?: string) {
    answer = (req, res) => {
      if (req.path !== `/${location}`) res.redirect(status, location)
      else
        res
          .set(tag === undefined ? {} : { ETag: tag })
          .type(type)
          .end(PAGE)
    }
  }

  test.each([
    ['a login', 302, 'login', 'text/html', '"a"'],
    ['a login with the name of the file', 302, 'login/film.mp4', 'text/html', undefined],
    ['another resource', 303, 'other.mp4', 'video/mp4', '"a"'],
  ])('refuses a redirection to %s', async (_what, status, location, type, tag) => {
    redirect(status, location, type, tag)

    const { code, err } = await line.run('get', url, 'got.mp4')

    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/^partial-upload: the server redirects /),
    ])
    expect(readdirSync(line.folder)).toEqual(['uploads'])
  })

  test('refuses a web page without an entity tag in place of a video', async () => {
    answer = (_req, res) => void res.type('html').end(PAGE)

    const { code, err } = await line.run('get', url, 'got.mp4')

    expect([code, err]).toEqual([1, expect.stringMatching(/ sends a web page instead of the file/)])
    expect(readdirSync(line.folder)).toEqual(['uploads'])
  })

  test('follows a redirection to the file', async () => {
    redirect(307, 'store/1', 'video/mp4')

    const { code } = await line.run('get', url, 'got.mp4')

    expect([code, readFileSync(line.at('got.mp4'), 'utf8')]).toEqual([0, PAGE])
  })

  test('does not keep a file that does not match the digest', async () => {
    answer = (_req, res) => {
      res.set({ ETag: '"a"', 'Repr-Digest': `sha-256=:${digestOf(FILE)}:` })
      res.end(FILE.subarray(1))
    }

    const { code, err } = await line.run('get', url, 'got.mp4')
    const printed = await line.run('get', url, '-')

    const message = 'partial-upload: the bytes do not match the digest that the server sent\n'
    expect([code, err]).toEqual([1, message])
    expect(readdirSync(line.folder)).toEqual(['uploads'])
    expect([printed.code, printed.err]).toEqual([1, message])
  })

  test('compares the digest of a file that it has resumed', async () => {
    const field = `sha-256=:${digestOf(FILE)}:`
    await fetch(url, { method: 'PUT', body: FILE, headers: { 'Repr-Digest': field } })
    const etag = (await fetch(url, { method: 'HEAD' })).headers.get('etag')
    const note = { url, etag, size: FILE.length }
    writeFileSync(line.at('got.mp4.part'), pattern(1000, 3))
    writeFileSync(line.at('got.mp4.part.json'), JSON.stringify(note))

    const { code, err } = await line.run('get', url, 'got.mp4')

    expect([code, err]).toEqual([1, expect.stringMatching(/ do not match the digest /)])
    expect(await line.run('get', url, 'got.mp4')).toMatchObject({ code: 0 })
    expect(readFileSync(line.at('got.mp4')).equals(FILE)).toBe(true)
  })

  test('downloads a file without bytes', async () => {
    await fetch(url, { method: 'PUT', body: '' })

    const { code } = await line.run('get', url, 'got.mp4')

    expect([code, readFileSync(line.at('got.mp4')).length]).toEqual([0, 0])
  })
})
