/** A real curl uploads, is killed, and resumes with `-C`. */
import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { beforeAll, describe, expect, it } from 'vitest'

import { hasCurlWithHttp2 } from '../support/curl.ts'
import { CORNERS, useServer } from '../support/wire/server.ts'
import type { TestServer } from '../support/wire/server.ts'

const SIZE = 3_000_000
const NO_CURL = !hasCurlWithHttp2()
/** The exit code with which curl ends, without a request, if the server has the whole file. */
const NOTHING_LEFT = 18

describe.skipIf(NO_CURL).each(CORNERS)('curl over $name', (combination) => {
  const server = useServer(combination)
  const film = randomBytes(SIZE)
  let file: string
  beforeAll(async () => {
    file = join(server.directory, 'curl-film')
    await writeFile(file, film)
  })
  const protocol = combination.framework === 'http2' ? ['--http2-prior-knowledge'] : []

  function run(path: string, args: readonly string[]): Promise<[exit: unknown, output: string]> {
    const all = ['-sS', ...protocol, ...args, `http://127.0.0.1:${server.port}${path}`]
    return new Promise((resolve) => {
      execFile('curl', all, (error, stdout) => resolve([error?.code ?? 0, stdout]))
    })
  }

  /** Uploads until some of the data has arrived, and kills curl. */
  async function cut(path: string, args: readonly string[]): Promise<void> {
    const before = await stored(path)
    const url = `http://127.0.0.1:${server.port}${path}`
    const slowly = ['-s', '--limit-rate', '500K', ...protocol, '-T', file, ...args, url]
    const curl = spawn('curl', slowly, { stdio: 'ignore' })
    await expect.poll(() => stored(path), { interval: 5 }).toBeGreaterThan(before)
    curl.kill('SIGKILL')
    await once(curl, 'exit')
    await server.idle(path)
  }

  const stored = async (path: string): Promise<number> => Number(await contentLength(server, path))

  it('uploads a new file, is killed twice, and resumes', async () => {
    const path = server.path()

    await cut(path, ['-C', '-'])
    const first = await stored(path)
    await cut(path, ['-C', String(first)])
    const second = await stored(path)
    const done = await run(path, ['-T', file, '-C', String(second), '-w', '%{http_code}'])

    expect([first > 0, second > first, second < SIZE]).toEqual([true, true, true])
    expect(done).toEqual([0, '201'])
    expect((await server.send('GET', path)).body.equals(film)).toBe(true)
  })

  it.each(['C(10)', 'I(4/10)'])('replaces %s as a whole with -C -', async (given) => {
    const path = await server.given(given)

    const done = await run(path, ['-T', file, '-C', '-', '-w', '%{http_code}'])

    expect(done).toEqual([0, given === 'C(10)' ? '204' : '201'])
    expect((await server.send('GET', path)).body.equals(film)).toBe(true)
  })

  it('sends nothing of a file that the server has', async () => {
    const path = server.path()
    await run(path, ['-T', file])

    const [exit] = await run(path, ['-T', file, '-C', String(SIZE)])

    expect(exit).toBe(NOTHING_LEFT)
  })

  it.each(['4', '-'])('is refused standard input with -C %s', async (offset) => {
    const path = await server.given('I(4/10)')

    const url = `http://127.0.0.1:${server.port}${path}`
    const args = ['-s', ...protocol, '-T', '-', '-C', offset, '-fw', '%{http_code}', url]
    const script = `curl "$@" <${file}; true`
    const output = await new Promise((resolve) => {
      execFile('sh', ['-c', script, 'sh', ...args], (_error, stdout) => resolve(stdout))
    })

    expect([output, await server.state(path)]).toEqual(['400', 'I(4/10)'])
  })

  it.each(['∅', 'I(4/10)', 'C(10)'])('is refused an empty file with -C - on %s', async (given) => {
    const path = await server.given(given)
    const empty = join(server.directory, 'curl-empty')
    await writeFile(empty, '')

    const answer = await run(path, ['-T', empty, '-C', '-', '-fw', '%{http_code}'])

    expect([answer, await server.state(path)]).toEqual([[22, '400'], given])
  })

  it('stores an empty file without -C', async () => {
    const path = server.path()
    const empty = join(server.directory, 'curl-empty')
    await writeFile(empty, '')

    const answer = await run(path, ['-T', empty, '-w', '%{http_code}'])

    expect([answer, await server.state(path)]).toEqual([[0, '201'], 'C(0)'])
  })

  it('is refused an offset beyond what has arrived', async () => {
    const path = await server.given('I(4/10)')

    const [exit, output] = await run(path, ['-T', file, '-C', '5', '-w', '%{http_code}', '-f'])

    expect([exit, output]).toEqual([22, '409'])
    expect(await server.state(path)).toBe('I(4/10)')
  })
})

async function contentLength(server: TestServer, path: string): Promise<string> {
  const head = await server.head(path)
  return head.fields.find(([name]) => name.toLowerCase() === 'content-length')?.[1] ?? '0'
}
