import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { useCommandLine, type Outcome } from '../support/cli/setup.ts'

/** Clears the screen (ECMA-48 ED), as CSI in two bytes and as one C1 character. */
const ESCAPE = '\u001b[2J\u009b2J'

const line = useCommandLine()
let server: Server
let origin: string

/** Answers every request with text that would control a terminal. */
beforeEach(async () => {
  server = createServer((req, res) => {
    req.resume()
    res.writeHead(422, { 'Content-Type': 'application/problem+json' })
    res.end(req.method === 'HEAD' ? '' : JSON.stringify({ title: ESCAPE, detail: ESCAPE }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

/** The output of a process without its line ends. */
function printed({ out, err }: Outcome): string {
  return `${out}${err}`.replaceAll('\n', '')
}

describe('no control character reaches the terminal from', () => {
  test.each([
    ['a command', [ESCAPE]],
    ['an option', ['put', `--${ESCAPE}`, 'a', 'http://127.0.0.1/']],
    ['a URL', ['put', 'a', ESCAPE]],
    ['a number', ['put', '--retries', ESCAPE, 'a', 'http://127.0.0.1/']],
    ['a field', ['put', '-H', `${ESCAPE}: a`, 'a', 'http://127.0.0.1/']],
    ['a missing file', ['put', ESCAPE, 'http://127.0.0.1/']],
  ])('%s', async (_what, args) => {
    const outcome = await line.run(...args)

    expect(outcome.code).not.toBe(0)
    expect(printed(outcome)).toMatch(/\S/)
    expect(printed(outcome)).not.toMatch(/\p{Cc}/u)
  })

  test('the name of a folder that needs another URL', async () => {
    mkdirSync(line.at(ESCAPE))

    const outcome = await line.run('put', ESCAPE, 'http://127.0.0.1/a')

    expect(outcome.code).toBe(2)
    expect(printed(outcome)).not.toMatch(/\p{Cc}/u)
  })

  test('the text of a server and the names of files', async () => {
    mkdirSync(line.at('photos'))
    writeFileSync(line.at('photos', `${ESCAPE}.jpg`), 'a')

    const put = await line.run('put', 'photos', `${origin}/`)
    const get = await line.run('get', `${origin}/a`, 'a')

    expect([put.code, get.code]).toEqual([1, 1])
    expect(get.err).toBe('partial-upload: �[2J�2J (422)\n')
    expect(printed(put)).not.toMatch(/\p{Cc}/u)
  })
})

test('eleven files at the same time print no warning', async () => {
  mkdirSync(line.at('photos'))
  for (let i = 0; i < 11; i++) writeFileSync(line.at('photos', `${i}.txt`), `${i}`)

  const { err } = await line.run('put', '--concurrency', '11', 'photos', `${origin}/`)

  expect(err.match(/^partial-upload: photos\//gm)).toHaveLength(11)
  expect(err).not.toContain('Warning')
})
