/** Runs the commands and requests that the READMEs show. */

import { copyFile, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { describe, expect, test } from 'vitest'

import { isInstalled } from './support/examples/run.ts'
import { at, commands, expectLines } from './support/readme/console.ts'
import { BLOCKS, ROOT, blockWith, table } from './support/readme/documents.ts'
import { useExampleServer } from './support/readme/example-server.ts'

const CLI = /^\$ .*npx partial-upload/m
const NO_CURL = !isInstalled('curl')

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

  test('the problem document is the answer to a gap', async () => {
    const problem = blockWith('json', 'ERR_GAP')
    await server.send('PATCH', '/files/gap', 'Content-Range: bytes 0-3/10', 'abcd')

    const answer = await server.send('PATCH', '/files/gap', 'Content-Range: bytes 6-7/10', 'gh')

    expect(answer.text).toContain(JSON.stringify(JSON.parse(problem)))
  })
})

test.each(BLOCKS.filter(({ language, code }) => language === 'console' && CLI.test(code)))(
  'the command line prints what $document shows',
  async ({ code }) => {
    const program = await server.compile('src/cli/main.ts')
    const [, name = ''] = /put (\S+)/.exec(code) ?? []
    const file = path.join(server.directory, name)
    await writeFile(file, Buffer.alloc(10_000_000, 'bytes '))
    await server.send('DELETE', `/files/${name}`)

    for (const { command, answer } of commands(code)) {
      const output = await server.run('bash', command.replace('npx partial-upload', program))
      expectLines(output.replaceAll(server.origin, 'http://127.0.0.1:3000'), answer)
    }
    const copy = await readFile(path.join(server.directory, `copy${path.extname(name)}`))
    expect(copy.equals(await readFile(file))).toBe(true)
  },
  60_000,
)

test('the client uploads as in the example', async () => {
  await writeFile(path.join(server.directory, 'client.txt'), 'abc')
  const program = await server.compile('examples/client.ts')

  const output = await server.run('bash', `${program} client.txt ${server.origin}/files/c.txt`)

  expect(output).toMatch(/^(\d of 3 bytes\n)+201\n$/)
})

test
  .skipIf(NO_CURL)
  .each(
    BLOCKS.filter(({ language, code }) => language === 'console' && code.includes('--max-time')),
  )(
  'curl gets the answers of the session in $document',
  async ({ code: screen }) => {
    const assignments: string[] = []
    let stored = 0
    await server.send('DELETE', '/files/film.mp4')

    for (const { command, answer } of commands(screen)) {
      // On a busy machine curl may need more than a second for the first byte.
      const patient = command.replace(
        '--limit-rate 20M --max-time 1',
        '--limit-rate 4M --max-time 4',
      )
      const script = [...assignments, at(stored, patient)].join('\n')
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

test.skipIf(NO_CURL)('the commands of curl begin an upload, and resume it', async () => {
  const [begin = '', resume = ''] = blockWith('sh', '-C -').trimEnd().split('\n')
  const bytes = Buffer.alloc(1_000_000, 'the bytes of a film ')
  await writeFile(path.join(server.directory, 'film.mp4'), bytes)
  const run = (command: string) =>
    server.run('sh', `URL=http://127.0.0.1:3000/files/film.mp4\n${command}`)
  const stored = () => readFile(path.join(server.directory, 'uploads/film.mp4'))
  await server.send('DELETE', '/files/film.mp4')

  await run(begin)
  const begun = await stored()
  await server.send('DELETE', '/files/film.mp4')
  const half = bytes.subarray(0, 500_000)
  await server.send('PATCH', '/files/film.mp4', 'Content-Range: bytes 0-499999/1000000', half)
  await run(resume)

  expect([begun.equals(bytes), (await stored()).equals(bytes)]).toEqual([true, true])
})

test.each([
  { script: 'resume.sh', needs: ['curl', 'openssl'] },
  { script: 'python/upload.py', needs: ['python3'] },
])('the command with $script uploads the file', async ({ script, needs }) => {
  if (!needs.every(isInstalled)) return
  const name = path.basename(script)
  const bytes = Buffer.alloc(1_000_000, 'the bytes of a film ')
  await writeFile(path.join(server.directory, 'film.mp4'), bytes)
  await copyFile(path.join(ROOT, 'examples', script), path.join(server.directory, name))
  await server.send('DELETE', '/files/film.mp4')

  await server.run('sh', blockWith('sh', name))

  const uploaded = await readFile(path.join(server.directory, 'uploads/film.mp4'))
  expect(uploaded.equals(bytes)).toBe(true)
})
