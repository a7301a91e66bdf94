/**
 * The server of `npm start` with a folder of its own, and requests to it as the READMEs write them.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'

import { build } from 'esbuild'
import { afterAll, beforeAll } from 'vitest'

import { ROOT } from './documents.ts'

/** The address at which the READMEs expect the server. */
const SHOWN_ORIGIN = 'http://127.0.0.1:3000'

/** The answer to a request. */
export interface Answer {
  readonly status: number
  /** The field lines and the content. */
  readonly text: string
}

/** A running server. */
export interface ExampleServer {
  /** Its own folder, in which scripts run. */
  directory: string
  origin: string
  /**
   * Compiles a program of this repository into the folder, and returns the command that runs it.
   */
  compile(entry: string): Promise<string>
  /** Runs a script of a README in the folder, and returns all that it prints. */
  run(shell: string, script: string): Promise<string>
  /** Sends a request; a PATCH has its field in the header of its part. */
  send(method: string, target: string, field?: string, data?: string | Buffer): Promise<Answer>
  /** Sends a request as it is written, with the length of its content, and returns the answer. */
  sendRaw(message: string): Promise<string>
}

/** Starts the server for the tests of the surrounding `describe`, and stops it after them. */
export function useExampleServer(): ExampleServer {
  let child: ChildProcess
  const server: ExampleServer = {
    directory: '',
    origin: '',
    compile: (entry) => compile(server, entry),
    run: (shell, script) => run(server, shell, script),
    send: (...message) => send(server, ...message),
    sendRaw: (message) => sendRaw(server, message),
  }

  beforeAll(async () => {
    server.directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-readme-'))
    const uploads = path.join(server.directory, 'uploads')
    const flags = ['--conditions=@partial-upload/source', '--import', 'tsx', 'examples/server.ts']
    const args = [...flags, '--directory', uploads, '--port', '0']
    const started = spawn('node', args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
    child = started
    for await (const line of createInterface(started.stdout)) {
      server.origin = line.replace(/\/$/, '')
      break
    }
  }, 60_000)

  afterAll(async () => {
    const exit = once(child, 'exit')
    child.kill()
    await exit
    await rm(server.directory, { recursive: true })
  })

  return server
}

async function compile({ directory }: ExampleServer, entry: string): Promise<string> {
  const outfile = path.join(directory, `${path.basename(entry, '.ts')}.mjs`)
  const conditions = ['@partial-upload/source']
  const entryPoints = [path.join(ROOT, entry)]
  await build({ entryPoints, outfile, conditions, bundle: true, platform: 'node', format: 'esm' })
  return `node ${outfile}`
}

async function run(
  { directory: cwd, origin }: ExampleServer,
  shell: string,
  script: string,
): Promise<string> {
  const here = script.replaceAll(SHOWN_ORIGIN, origin)
  const args = ['-c', `{ ${here}\n} 2>&1 || true`]
  const { stdout } = await promisify(execFile)(shell, args, { cwd })
  return stdout
}

async function send(
  { origin }: ExampleServer,
  method: string,
  target: string,
  field = '',
  data: string | Buffer = '',
): Promise<Answer> {
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

async function sendRaw({ origin }: ExampleServer, message: string): Promise<string> {
  const [header = '', ...content] = message.split('\r\n\r\n')
  const body = content.join('\r\n\r\n')
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(origin).port) })
  socket.write(`${header}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`)
  return text(socket)
}
