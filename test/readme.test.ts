/** Holds the README to the code: its commands and requests are run, its tables compared. */

import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { DEFAULTS, ERRORS, PRESETS, partialUpload } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const readme = readFileSync(path.join(root, 'README.md'), 'utf8')

describe('tables', () => {
  test('of options', () => {
    const defaults = table('option', 'default').map(([name, value = '']) => [name, parse(value)])

    expect(defaults).toEqual(Object.entries(DEFAULTS))
  })

  test('of presets', () => {
    const rows = table('option', 'answers')

    for (const [index, statuses] of Object.values(PRESETS).entries()) {
      const shown = rows.map(([name, , ...values]) => [name, Number(values[index])])
      expect(shown).toEqual(Object.entries(statuses))
    }
  })

  test('of what else there is to set', () => {
    const storage = memoryStorage()

    for (const [name = ''] of table('option', 'meaning')) {
      expect(() => partialUpload({ [name]: undefined, storage })).not.toThrow()
    }
  })

  test('of errors', () => {
    const errors = table('code', 'status').map(([code, status, title]) => [
      code,
      [Number(status), title],
    ])

    expect(errors).toEqual(Object.entries(ERRORS))
  })

  test('name no code or option that does not exist', async () => {
    const codes = readme.match(/\bERR_\w+/g) ?? []
    const client = await readFile(path.join(root, 'src/client/error.ts'), 'utf8')
    const known = [...Object.keys(ERRORS), ...(client.match(/\bERR_\w+/g) ?? [])]

    expect(codes.filter((code) => !known.includes(code))).toEqual([])
  })
})

test('every link leads to a file', () => {
  const targets = [...readme.matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(([, target = '']) => target)

  expect(targets.filter((target) => !existsSync(path.join(root, target)))).toEqual([])
})

test('the first code is the quickstart', async () => {
  const [first = ''] = blocks('ts')

  expect(first).toBe(await readFile(path.join(root, 'examples/quickstart.ts'), 'utf8'))
})

test('all code is taken from examples that are tested', () => {
  const sources = ['examples', 'test/examples'].flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => unindent(readFileSync(path.join(root, folder, name), 'utf8'))),
  )

  const unknown = blocks('ts').filter(
    (block) => !sources.some((source) => source.includes(unindent(block))),
  )
  expect(unknown).toEqual([])
})

describe('with the server of npm start', () => {
  let directory: string
  let server: ChildProcess
  let origin: string

  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-readme-'))
    const uploads = path.join(directory, 'uploads')
    const child = spawn('npm', ['start', '--silent', '--', '--directory', uploads, '--port', '0'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    server = child
    for await (const line of createInterface(child.stdout)) {
      origin = line.replace(/\/$/, '')
      break
    }
  }, 30_000)

  afterAll(async () => {
    const exit = once(server, 'exit')
    server.kill()
    await exit
    await rm(directory, { recursive: true })
  })

  test('the requests of the table get its answers', async () => {
    for (const [method = '', field = '', data = '', status, content = '', why] of table(
      'request',
      'field',
    )) {
      const answer = await send(method, '/files/alphabet', field, data)

      expect([method, field, answer.status, why]).toEqual([method, field, Number(status), why])
      expect(answer.text).toContain(content)
    }
  })

  test('the request with several ranges writes them', async () => {
    await send('PATCH', '/files/alphabet', 'Content-Range: bytes 0-9/10', 'abcdefghij')
    const [block = ''] = blocks('http')

    const answer = await sendRaw(block.trimEnd().replaceAll('\n', '\r\n'))

    expect(answer).toMatch(/^HTTP\/1\.1 204 /)
    expect((await send('GET', '/files/alphabet')).text).toContain('ABcdefghIJ')
  })

  test('the problem document is what a gap gets', async () => {
    await send('PATCH', '/files/gap', 'Content-Range: bytes 0-3/10', 'abcd')
    const answer = await send('PATCH', '/files/gap', 'Content-Range: bytes 6-7/10', 'gh')
    const [block = ''] = blocks('json')

    expect(answer.text).toContain(JSON.stringify(JSON.parse(block)))
  })

  test('the command line prints what is shown', async () => {
    const screen = blocks('console').find((block) => block.includes('npx partial-upload')) ?? ''
    const program = `node --import ${import.meta.resolve('tsx')} ${root}src/cli/main.ts`
    await writeFile(path.join(directory, 'film.mp4'), Buffer.alloc(100_000_000, 'film '))
    await send('DELETE', '/files/film.mp4')

    for (const { command, answer } of commands(screen)) {
      const output = await run('bash', command.replace('npx partial-upload', program))
      expectLines(output.replaceAll(origin, 'http://127.0.0.1:3000'), answer)
    }
    const copy = await readFile(path.join(directory, 'copy.mp4'))
    expect(copy.equals(await readFile(path.join(directory, 'film.mp4')))).toBe(true)
  }, 60_000)

  test('the client uploads as in the example', async () => {
    const example = path.join(root, 'examples/client.ts')
    const flags = `--conditions=@partial-upload/source --import ${import.meta.resolve('tsx')}`
    await writeFile(path.join(directory, 'client.txt'), 'abc')

    const output = await run('bash', `node ${flags} ${example} client.txt ${origin}/files/c.txt`)

    expect(output).toMatch(/^(\d of 3 bytes\n)+201\n$/)
  })

  describe.skipIf(spawnSync('curl', ['--version']).error !== undefined)('and curl', () => {
    test('the commands of the first screen have the answers that it shows', async () => {
      const [screen = ''] = blocks('console')
      const assignments: string[] = []
      let stored = 0

      for (const { command, answer } of commands(screen)) {
        const script = [...assignments, at(stored, command)].join('\n')
        const output = await run('bash', script)
        if (/^[A-Z]+=/.test(command)) assignments.push(command)
        stored = Number(
          / 299 .*^Content-Range: .*^Content-Length: (\d+)/ms.exec(output)?.[1] ?? stored,
        )

        expectLines(output, at(stored, answer))
      }
      expect(stored).toBeGreaterThan(0)
    }, 60_000)

    test.each([0, 1, 3_000_000, 4_999_999])(
      'the resume sends all but %i bytes',
      async (offset) => {
        const file = Buffer.alloc(5_000_000, 'the bytes of a film ')
        await writeFile(path.join(directory, 'film.mp4'), file)
        await send('DELETE', '/files/film.mp4')
        const range = `Content-Range: bytes 0-${offset - 1}/${file.length}`
        if (offset > 0) await send('PATCH', '/files/film.mp4', range, file.subarray(0, offset))
        const resume = blocks('sh').find((block) => block.includes('OFFSET=')) ?? ''

        await run('sh', resume)

        const uploaded = await readFile(path.join(directory, 'uploads/film.mp4'))
        expect(uploaded.equals(file)).toBe(true)
      },
      30_000,
    )
  })

  describe('the resume', () => {
    const file = Buffer.alloc(5000, 'the bytes of a film ')
    const resume = blocks('sh').find((block) => block.includes('OFFSET=')) ?? ''

    beforeEach(async () => {
      await writeFile(path.join(directory, 'film.mp4'), file)
      await send('DELETE', '/files/film.mp4')
    })

    test('leaves a file alone that was there before, and fails', async () => {
      await send('PUT', '/files/film.mp4', '', 'AAA')

      const output = await run('sh', `(${resume}) || echo failed`)

      expect(output).toMatch(/different file\nfailed\n$/)
      expect(await readFile(path.join(directory, 'uploads/film.mp4'), 'utf8')).toBe('AAA')
    })

    test('succeeds if the same file is there', async () => {
      await send('PUT', '/files/film.mp4', '', file)

      expect(await run('sh', `(${resume}) || echo failed`)).toBe('complete\n')
    })

    test('does not join the beginnings and ends of two versions of a file', async () => {
      const old = Buffer.alloc(3000, 'an older version ')
      await send('PATCH', '/files/film.mp4', 'Content-Range: bytes 0-2999/5000', old)

      const first = await run('sh', `(${resume}) || echo failed`)
      const second = await run('sh', `(${resume}) || echo failed`)

      expect(first).toMatch(/ERR_REPR_DIGEST[^]*failed\n$/)
      expect(second).toMatch(/complete\n$/)
      expect((await readFile(path.join(directory, 'uploads/film.mp4'))).equals(file)).toBe(true)
    })

    test('fails if no server answers', async () => {
      const nowhere = resume.replace('127.0.0.1:3000', '127.0.0.1:1')

      expect(await run('sh', `(${nowhere}) || echo failed`)).toMatch(/failed\n$/)
    })
  })

  /** Runs a script of the README, and returns all that it prints. */
  async function run(shell: string, script: string): Promise<string> {
    const here = script.replaceAll('http://127.0.0.1:3000', origin)
    const options = { cwd: directory }
    const { stdout } = await promisify(execFile)(
      shell,
      ['-c', `{ ${here}\n} 2>&1 || true`],
      options,
    )
    return stdout
  }

  /** Sends a request; a PATCH has its field in the header of its part. */
  async function send(
    method: string,
    target: string,
    field = '',
    data: string | Buffer = '',
  ): Promise<{ readonly status: number; readonly text: string }> {
    const [name = '', value = ''] = field.split(': ')
    const isPatch = method === 'PATCH'
    const type = { 'Content-Type': 'message/byteranges' }
    const headers = isPatch ? type : field === '' ? {} : { [name]: value }
    const outgoing = request(origin + target, { method, headers })
    if (isPatch) outgoing.write(`${field}\r\n\r\n`)
    outgoing.end(data)
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
    const fields = answer.rawHeaders.flatMap((word, index, all) =>
      index % 2 === 0 ? [`${word}: ${all[index + 1]}`] : [],
    )
    const content = await text(answer)
    return { status: answer.statusCode ?? 0, text: [...fields, content].join('\n') }
  }

  /** Sends the request as it stands, with the length of its content, and returns the answer. */
  async function sendRaw(message: string): Promise<string> {
    const [header = '', ...content] = message.split('\r\n\r\n')
    const body = content.join('\r\n\r\n')
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(origin).port) })
    socket.write(`${header}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`)
    return text(socket)
  }
})

/** The rows of the table whose header begins with these cells, without backticks. */
function table(...header: readonly string[]): readonly string[][] {
  const rows = readme.split('\n').map((line) => (line.startsWith('|') ? cells(line) : null))
  const start = rows.findIndex((row) => header.every((cell, index) => row?.[index] === cell))
  expect(start).not.toBe(-1)
  const end = rows.indexOf(null, start)
  return rows.slice(start + 2, end).map((row) => row ?? [])
}

function cells(line: string): string[] {
  return line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll('`', ''))
}

/** `1 TiB + 1 MiB`, `2000` or `true` as a value. */
function parse(cell: string): number | boolean | string {
  if (cell.startsWith("'")) return cell.slice(1, -1)
  if (cell === 'true' || cell === 'false') return cell === 'true'
  const units = ['', 'KiB', 'MiB', 'GiB', 'TiB']
  const terms = cell.split(' + ').map((term) => {
    const [number, unit = ''] = term.split(' ')
    return Number(number) * 1024 ** units.indexOf(unit)
  })
  return terms.reduce((sum, term) => sum + term, 0)
}

/** The fenced blocks of a language. */
function blocks(language: string): readonly string[] {
  const fenced = readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)
  return [...fenced].filter(([, name]) => name === language).map(([, , code = '']) => code)
}

function unindent(code: string): string {
  return code
    .split('\n')
    .map((line) => line.trim())
    .join('\n')
}

interface Command {
  readonly command: string
  readonly answer: string
}

/** The commands of a `console` block, after `$` and continued after `>`, and what follows each. */
function commands(screen: string): readonly Command[] {
  return screen
    .split(/^\$ /m)
    .slice(1)
    .map((step) => {
      const [first = '', ...rest] = step.trimEnd().split('\n')
      const continued = rest.filter((line) => line.startsWith('>')).map((line) => line.slice(1))
      const answer = rest.filter((line) => !line.startsWith('>'))
      return { command: [first, ...continued].join('\n'), answer: answer.join('\n') }
    })
}

/** The README's text for another offset than the one that it shows. */
function at(offset: number, shown: string): string {
  if (offset === 0) return shown
  return shown
    .replaceAll('20971519', String(offset - 1))
    .replaceAll('20971520', String(offset))
    .replaceAll('20971521', String(offset + 1))
}

/** Expects the lines in this order, perhaps with others in between; `…` stands for any text. */
function expectLines(output: string, lines: string): void {
  const actual = output.split(/\r?\n/)
  let from = 0
  for (const line of lines.split('\n').filter((wanted) => wanted !== '')) {
    const pieces = line.split('…').map((piece) => piece.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    const pattern = new RegExp(`^${pieces.join('.*')}$`)
    const index = actual.findIndex((candidate, at) => at >= from && pattern.test(candidate))
    expect(index, `${line} in ${output}`).not.toBe(-1)
    from = index + 1
  }
}
