/** Runs the commands and requests that the READMEs show. */

import { spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { beforeEach, describe, expect, test } from 'vitest'

import { at, commands, expectLines } from './support/readme/console.ts'
import { blockWith, table } from './support/readme/documents.ts'
import { useExampleServer } from './support/readme/example-server.ts'

const NO_CURL = spawnSync('curl', ['--version']).error !== undefined

const server = useExampleServer()

describe('on the wire', () => {
  test('the requests of the table get its answers', async () => {
    for (const [method = '', field = '', data = '', status, content = '', why] of table(
      'src/protocol/README.md',
      'request',
      'field',
    )) {
      const answer = await server.send(method, '/files/alphabet', field, data)

      expect([method, field, answer.status, why]).toEqual([method, field, Number(status), why])
      expect(answer.text).toContain(content)
    }
  })

  test('the request with several ranges writes them', async () => {
    const request = blockWith('http', 'multipart/byteranges')
    await server.send('PATCH', '/files/alphabet', 'Content-Range: bytes 0-9/10', 'abcdefghij')

    const answer = await server.sendRaw(request.trimEnd().replaceAll('\n', '\r\n'))

    expect(answer).toMatch(/^HTTP\/1\.1 204 /)
    expect((await server.send('GET', '/files/alphabet')).text).toContain('ABcdefghIJ')
  })

  test('the problem document is what a gap gets', async () => {
    const problem = blockWith('json', 'ERR_GAP')
    await server.send('PATCH', '/files/gap', 'Content-Range: bytes 0-3/10', 'abcd')

    const answer = await server.send('PATCH', '/files/gap', 'Content-Range: bytes 6-7/10', 'gh')

    expect(answer.text).toContain(JSON.stringify(JSON.parse(problem)))
  })
})

test('the command line prints what is shown', async () => {
  const screen = blockWith('console', 'npx partial-upload')
  const program = await server.compile('src/cli/main.ts')
  const film = path.join(server.directory, 'film.mp4')
  await writeFile(film, Buffer.alloc(100_000_000, 'film '))

  for (const { command, answer } of commands(screen)) {
    const output = await server.run('bash', command.replace('npx partial-upload', program))
    expectLines(output.replaceAll(server.origin, 'http://127.0.0.1:3000'), answer)
  }
  const copy = await readFile(path.join(server.directory, 'copy.mp4'))
  expect(copy.equals(await readFile(film))).toBe(true)
}, 60_000)

test('the client uploads as in the example', async () => {
  await writeFile(path.join(server.directory, 'client.txt'), 'abc')
  const program = await server.compile('examples/client.ts')

  const output = await server.run('bash', `${program} client.txt ${server.origin}/files/c.txt`)

  expect(output).toMatch(/^(\d of 3 bytes\n)+201\n$/)
})

test.skipIf(NO_CURL)(
  'curl gets the answers of the first session',
  async () => {
    const screen = blockWith('console', '--max-time')
    const assignments: string[] = []
    let stored = 0

    for (const { command, answer } of commands(screen)) {
      const script = [...assignments, at(stored, command)].join('\n')
      const output = await server.run('bash', script)
      if (/^[A-Z]+=/.test(command)) assignments.push(command)
      const found = / 299 .*^Content-Range: .*^Content-Length: (\d+)/ms.exec(output)
      stored = Number(found?.[1] ?? stored)

      expectLines(output, at(stored, answer))
    }
    expect(stored).toBeGreaterThan(0)
  },
  60_000,
)

describe.skipIf(NO_CURL)('the resume with curl', () => {
  const resume = blockWith('sh', 'OFFSET=')
  const file = Buffer.alloc(5000, 'the bytes of a film ')

  beforeEach(async () => {
    await writeFile(path.join(server.directory, 'film.mp4'), file)
    await server.send('DELETE', '/files/film.mp4')
  })

  test.each([0, 1, 3_000_000, 4_999_999])('sends all but %i bytes', async (offset) => {
    const large = Buffer.alloc(5_000_000, 'the bytes of a film ')
    await writeFile(path.join(server.directory, 'film.mp4'), large)
    const range = `Content-Range: bytes 0-${offset - 1}/${large.length}`
    if (offset > 0) {
      await server.send('PATCH', '/files/film.mp4', range, large.subarray(0, offset))
    }

    await server.run('sh', resume)

    expect((await uploaded()).equals(large)).toBe(true)
  })

  test('leaves a file alone that was there before, and fails', async () => {
    await server.send('PUT', '/files/film.mp4', '', 'AAA')

    const output = await server.run('sh', `(${resume}) || echo failed`)

    expect(output).toMatch(/different file\nfailed\n$/)
    expect((await uploaded()).toString()).toBe('AAA')
  })

  test('succeeds if the same file is there', async () => {
    await server.send('PUT', '/files/film.mp4', '', file)

    expect(await server.run('sh', `(${resume}) || echo failed`)).toBe('complete\n')
  })

  test('does not join the beginnings and ends of two versions of a file', async () => {
    const old = Buffer.alloc(3000, 'an older version ')
    await server.send('PATCH', '/files/film.mp4', 'Content-Range: bytes 0-2999/5000', old)

    const first = await server.run('sh', `(${resume}) || echo failed`)
    const second = await server.run('sh', `(${resume}) || echo failed`)

    expect(first).toMatch(/ERR_REPR_DIGEST[^]*failed\n$/)
    expect(second).toMatch(/complete\n$/)
    expect((await uploaded()).equals(file)).toBe(true)
  })

  test('fails if no server answers', async () => {
    const nowhere = resume.replace('127.0.0.1:3000', '127.0.0.1:1')

    expect(await server.run('sh', `(${nowhere}) || echo failed`)).toMatch(/failed\n$/)
  })

  function uploaded(): Promise<Buffer> {
    return readFile(path.join(server.directory, 'uploads/film.mp4'))
  }
})
