/** Request targets and field lines that different servers read in different ways. */
import http from 'node:http'
import { once } from 'node:events'

import { partialUpload, prepareServer } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { describe, expect, it, onTestFinished } from 'vitest'

import { ask, field, json } from '../support/wire/client.ts'
import { MEMORY, useServer } from '../support/wire/server.ts'

/** Without a framework, which would not pass on every target. */
async function serveBare(isPrepared: boolean): Promise<{ readonly port: number }> {
  const uploads = partialUpload({ storage: memoryStorage() })
  const server = http.createServer((req, res) => {
    uploads(req, res, () => res.writeHead(404, { 'X-Passed-On': 'yes' }).end())
  })
  if (isPrepared) prepareServer(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return server.address() as { port: number }
}

describe('a request target', () => {
  it.each([
    ['GET', '/a#b'],
    ['PUT', '/a#'],
    ['PUT', '*'],
    ['GET', '*'],
    ['DELETE', '*'],
  ])('%s %s is refused', async (method, target) => {
    const answer = await ask(await serveBare(true), method, target)

    expect(json(answer)).toMatchObject({ status: 400, code: 'ERR_KEY' })
  })

  it('OPTIONS * is passed on', async () => {
    const answer = await ask(await serveBare(true), 'OPTIONS', '*')

    expect(field(answer, 'x-passed-on')).toBe('yes')
  })
})

describe('a folder', () => {
  const server = useServer(MEMORY)

  it.each(['/files/', '/files/dir/', '/files/a/b/'])('GET %s is passed on', async (path) => {
    const answers = [await server.send('GET', path), await server.send('HEAD', path)]

    expect(answers.map((answer) => field(answer, 'x-passed-on'))).toEqual(['yes', 'yes'])
  })

  it.each(['PUT', 'DELETE'])('%s of it is refused', async (method) => {
    expect((await server.send(method, '/files/dir/')).status).toBe(400)
  })
})

describe('field lines', () => {
  it('with two hosts are refused', async () => {
    const answer = await ask(await serveBare(true), 'PUT', '/a', ['Host: other'], 'x')

    expect(json(answer)).toMatchObject({ status: 400, code: 'ERR_FIELD' })
  })

  it('beyond those that Node reads are refused', async () => {
    const server = await serveBare(false)
    const lines = Array.from({ length: 1500 }, () => 'a:b')
    await ask(server, 'PUT', '/a', [], 'abc')

    const answer = await ask(server, 'PUT', '/a', [...lines, 'If-None-Match: *'], 'x')

    expect(json(answer)).toMatchObject({ status: 431, code: 'ERR_HEADER_LIMIT' })
  })

  it('count all with prepareServer', async () => {
    const server = await serveBare(true)
    const lines = Array.from({ length: 1500 }, () => 'a:b')
    await ask(server, 'PUT', '/a', [], 'abc')

    const answer = await ask(server, 'PUT', '/a', [...lines, 'If-None-Match: *'], 'x')

    expect(answer.status).toBe(412)
  })

  it.each(['', ' ', ',', 'identity', 'Identity, ,identity'])(
    'with the Content-Encoding %j name no coding',
    async (coding) => {
      const fields = [`Content-Encoding: ${coding}`]

      expect((await ask(await serveBare(true), 'PUT', '/a', fields, 'x')).status).toBe(201)
    },
  )

  it('with a condition do not change the 404 of a DELETE', async () => {
    const server = await serveBare(true)

    for (const condition of ['If-Match: "x"', 'If-Match: *', 'If-None-Match: *']) {
      expect((await ask(server, 'DELETE', '/a', [condition])).status).toBe(404)
    }
  })
})
