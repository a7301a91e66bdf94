/** The HTTP/2 example with a real curl, plain and over TLS. */
import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'

import { memoryStorage } from 'partial-upload/storage/memory'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { createUploadServer } from '../../examples/http2.ts'
import { createCertificate } from '../support/certificate.ts'
import { hasCurlWithHttp2 } from '../support/curl.ts'

const run = promisify(execFile)
const certificate = createCertificate()
const MIB = 1024 * 1024

let directory: string
let end: () => Promise<void>

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'partial-upload-http2-'))
})

afterEach(async () => {
  await end()
  rmSync(directory, { recursive: true })
})

describe.skipIf(!hasCurlWithHttp2())('curl over HTTP/2', () => {
  it.skipIf(certificate === null).each([
    ['without TLS', null],
    ['with TLS', certificate],
  ])(
    '%s resumes an upload that was cut',
    async (_name, tls) => {
      const { curl, url } = await serve(tls)
      const file = path.join(directory, 'file')
      const bytes = randomBytes(4 * MIB)
      writeFileSync(file, bytes)
      const head = async (): Promise<readonly [status: string, size: number]> => {
        const { stdout } = await run('curl', [...curl, '-sI', url])
        const size = /^content-length: (\d+)/m.exec(stdout)?.[1]
        return [/^HTTP\/2 (\d+)/.exec(stdout)?.[1] ?? '', Number(size)]
      }

      const persist = ['-H', 'Prefer: transaction=persist', '--limit-rate', '1M', '-T', file]
      const cut = spawn('curl', [...curl, '-s', ...persist, url], { stdio: 'ignore' })
      await expect.poll(head, { timeout: 20_000 }).toEqual(['299', expect.toSatisfy(isPositive)])
      const exit = once(cut, 'exit')
      cut.kill('SIGKILL')
      await exit
      const [status, size] = await head()
      const patch = path.join(directory, 'patch')
      const range = `Content-Range: bytes ${size}-${bytes.length - 1}/${bytes.length}\r\n\r\n`
      writeFileSync(patch, Buffer.concat([Buffer.from(range), bytes.subarray(size)]))
      const resumed = await run('curl', [
        ...[...curl, '-s', '-o', '-', '-w', '%{http_version} %{http_code}'],
        ...['-X', 'PATCH', '-H', 'Content-Type: message/byteranges', '-T', patch, url],
      ])
      const copy = path.join(directory, 'copy')
      await run('curl', [...curl, '-s', '-o', copy, url])

      expect([status, size < bytes.length, resumed.stdout]).toEqual(['299', true, '2 201'])
      expect(readFileSync(copy).equals(bytes)).toBe(true)
    },
    60_000,
  )
})

/** Starts a server of the example. Returns its URL, and the options with which curl uses HTTP/2. */
async function serve(tls: typeof certificate) {
  const server = createUploadServer(memoryStorage(), tls)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  end = async () => {
    server.close()
    await once(server, 'close')
  }
  const { port } = server.address() as AddressInfo
  if (tls === null) return { curl: ['--http2-prior-knowledge'], url: `http://127.0.0.1:${port}/a` }
  const ca = path.join(directory, 'cert.pem')
  writeFileSync(ca, tls.cert)
  return { curl: ['--http2', '--cacert', ca], url: `https://127.0.0.1:${port}/a` }
}

function isPositive(size: unknown): boolean {
  return typeof size === 'number' && size > 0
}
