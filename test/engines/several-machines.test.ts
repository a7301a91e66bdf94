/**
 * Runs two servers on one bucket as `examples/s3.ts` opens it, behind nginx as the README
 * configures it.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

import { upload } from 'partial-upload/client/node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { freePort } from '../support/free-port.ts'
import { NO_NGINX, shown, useNginx } from '../support/faults/nginx.ts'
import { pattern } from '../support/faults/pattern.ts'
import { kill } from '../support/faults/process.ts'
import { title } from '../support/faults/server.ts'
import { CREDENTIALS, NO_ENGINE } from '../support/s3/engine-process.ts'
import { ENGINES, LONGEST_START } from '../support/s3/engines.ts'
import type { OpenEngine } from '../support/s3/engines.ts'

const ROOT = path.join(import.meta.dirname, '../..')
/** Long enough that both servers can be killed in the middle of the upload. */
const SIZE = 48 * 1024 ** 2

const LONG_POLL = { timeout: 60_000, interval: 10 }

const missing = NO_ENGINE ?? NO_NGINX
const rgw = ENGINES.find(({ name }) => name === 'rgw')

describe.skipIf(missing !== null || rgw === undefined)(
  title('two servers on one bucket behind nginx', missing),
  () => {
    let engine: OpenEngine
    let ports: readonly number[] = [0, 0]
    let servers: readonly ChildProcess[] = []
    beforeAll(async () => {
      if (rgw === undefined) return
      engine = await rgw.open()
      ports = [await freePort(), await freePort()]
      servers = await Promise.all(ports.map((port) => start(port, engine)))
    }, LONGEST_START)
    afterAll(() => Promise.all(servers.map(kill)))

    async function restart(running: readonly ChildProcess[], index: number) {
      const victim = running[index]
      if (victim !== undefined) await kill(victim)
      const next = await start(ports[index] ?? 0, engine)
      return running.with(index, next)
    }

    const nginx = useNginx(
      () => ports[0] ?? 0,
      shown((text) =>
        text.replace(
          /server 127.0.0.1:3000;/,
          (line) => `${line}\n  server 127.0.0.1:${ports[1]};`,
        ),
      ),
    )

    test('an upload survives kill -9 of either, byte for byte', async () => {
      const url = `http://127.0.0.1:${nginx.port}/files/film.mp4`
      const bytes = pattern(SIZE, 1)
      const sent = { bytes: 0 }
      const { done } = upload(url, bytes, {
        onProgress: (progress) => void (sent.bytes = progress.sent),
      })
      for (const [index, share] of [0.25, 0.5].entries()) {
        await expect.poll(() => sent.bytes, LONG_POLL).toBeGreaterThan(SIZE * share)
        servers = await restart(servers, index)
      }
      await done

      const whole = await fetch(url)
      expect(whole.status).toBe(200)
      expect(sha256(Buffer.from(await whole.arrayBuffer()))).toBe(sha256(bytes))
      // Both servers give the same answer.
      for (const port of ports) {
        const head = await fetch(`http://127.0.0.1:${port}/files/film.mp4`, { method: 'HEAD' })
        expect(head.headers.get('content-length')).toBe(String(SIZE))
      }
    }, 240_000)

    test('the page lists finished and unfinished files of both', async () => {
      const [first = 0, second = 0] = ports
      await fetch(`http://127.0.0.1:${first}/files/a.txt`, { method: 'PUT', body: 'hello' })
      await fetch(`http://127.0.0.1:${second}/files/b.txt`, {
        method: 'PATCH',
        headers: { 'Content-Type': 'message/byteranges' },
        body: 'Content-Range: bytes 0-4/9\r\n\r\nhello',
      })

      const list = await fetch(`http://127.0.0.1:${first}/list`)
      const files = (await list.json()) as readonly { key: string; complete: boolean }[]
      const found = files.map(({ key, complete }) => `${key} ${complete}`)
      expect(found).toEqual(expect.arrayContaining(['a.txt true', 'b.txt false']))
      expect(found.some((line) => line.includes('.partial-upload'))).toBe(false)
    })
  },
)

/** Starts the server of `npm start`, from its source. */
async function start(port: number, { endpoint = '', bucket }: OpenEngine): Promise<ChildProcess> {
  const flags = ['--conditions=@partial-upload/source', '--import', 'tsx']
  const options = ['--s3', bucket, '--endpoint', endpoint, '--port', String(port)]
  const child = spawn(process.execPath, [...flags, 'examples/server.ts', ...options], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      NODE_OPTIONS: '',
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
    },
  })
  await firstLine(child.stdout)
  return child
}

async function firstLine(output: Readable): Promise<string> {
  for await (const line of createInterface(output)) return line
  throw new Error('the server ended without a line')
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
