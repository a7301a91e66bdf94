/** HTTP/2 from the client to nginx, HTTP/1.1 from there to the app. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:http2'
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'

import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'

import { message } from '../support/wire/client.ts'
import type { Bytes } from '../support/wire/client.ts'
import { FS, useServer } from '../support/wire/server.ts'
import { NO_NGINX, shown, useNginx } from '../support/faults/nginx.ts'
import { pattern, reasonAgainst, title } from '../support/faults/server.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'partial-upload-tls-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const KEY = path.join(folder, 'key.pem')
const CERTIFICATE = path.join(folder, 'certificate.pem')

const NO_OPENSSL = reasonAgainst('needs openssl', () =>
  execFileSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'],
    ...['-keyout', KEY, '-out', CERTIFICATE],
  ]),
)
const REASON = NO_NGINX ?? NO_OPENSSL

const DATA = pattern(3_000_000)
const HALF = 1_500_000
const TYPE = { 'content-type': 'message/byteranges' }

interface Answer {
  readonly status: number
  readonly length: string | undefined
  readonly body: Buffer
}

describe.skipIf(REASON !== null)(title('over HTTP/2 to nginx', REASON), () => {
  const server = useServer(FS, { lockTimeout: 200 })
  const nginx = useNginx(
    () => server.port,
    shown((text) =>
      text.replace(
        'listen 80;',
        `listen 80 ssl http2; ssl_certificate ${CERTIFICATE}; ssl_certificate_key ${KEY};`,
      ),
    ),
  )
  let session: ClientHttp2Session
  beforeEach(() => {
    session = connect(`https://127.0.0.1:${nginx.port}`, { ca: readFileSync(CERTIFICATE) })
  })
  afterEach(() => session.destroy())

  function begin(method: string, target: string, fields: OutgoingHttpHeaders): ClientHttp2Stream {
    const headers = { ':method': method, ':path': target, ...fields }
    const stream = session.request(headers, { endStream: false })
    stream.on('error', () => {}) // A stream that the test resets emits an error, too.
    return stream
  }

  async function ask(
    method: string,
    target: string,
    fields: OutgoingHttpHeaders = {},
    body: Bytes = '',
  ): Promise<Answer> {
    const stream = begin(method, target, fields)
    stream.end(body)
    const [headers] = (await once(stream, 'response')) as [Record<string, string>]
    return {
      status: Number(headers[':status']),
      length: headers['content-length'],
      body: await buffer(stream),
    }
  }

  it.each([
    ['PATCH', TYPE, message(`bytes 0-${DATA.length - 1}/${DATA.length}`, DATA.subarray(0, HALF))],
    ['PUT', { prefer: 'transaction=persist' }, DATA.subarray(0, HALF)],
  ])(
    'keeps the bytes of a %s whose stream is reset, and accepts the rest',
    async (method, fields, body) => {
      const target = server.path()
      const length = method === 'PUT' ? '*' : DATA.length

      const stream = begin(method, target, fields)
      stream.write(body)
      await server.becomes(target, `I(${HALF}/${length})`)
      // Not `close`, which marks the content as complete before it resets the stream.
      stream.destroy(new Error('cut'))
      await server.idle(target)
      const head = await ask('HEAD', target)
      const range = `bytes ${HALF}-${DATA.length - 1}/${DATA.length}`
      const rest = await ask('PATCH', target, TYPE, message(range, DATA.subarray(HALF)))
      const get = await ask('GET', target)

      expect([head.status, head.length]).toEqual([299, String(HALF)])
      expect(rest.status).toBe(201)
      expect([get.status, get.body.equals(DATA)]).toEqual([200, true])
    },
  )

  it('keeps the bytes of a lost connection', async () => {
    const target = server.path()
    const stream = begin('PATCH', target, TYPE)
    stream.write(message(`bytes 0-${DATA.length - 1}/${DATA.length}`, DATA.subarray(0, HALF)))
    await server.becomes(target, `I(${HALF}/${DATA.length})`)

    session.destroy()

    await server.idle(target)
    expect(await server.state(target)).toBe(`I(${HALF}/${DATA.length})`)
  })

  it('leaves other streams of a connection open when one is refused or stalls', async () => {
    const [stalled, refused, good] = [server.path(), server.path(), server.path()]
    begin('PATCH', stalled, TYPE).write(message('bytes 0-9/10', 'abcd'))
    await server.becomes(stalled, 'I(4/10)')

    const answers = await Promise.all([
      ask('PATCH', refused, TYPE, message('bytes 5-1000004/*', DATA.subarray(0, 1_000_000))),
      ask('PUT', good, {}, DATA),
      ask('PATCH', stalled, TYPE, message('bytes 4-9/10', 'efghij')),
    ])

    expect(answers.map(({ status }) => status)).toEqual([404, 201, 201])
    expect((await ask('GET', good)).body.equals(DATA)).toBe(true)
  })
})
