import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net, { type AddressInfo, type Server } from 'node:net'

import { describe, expect, onTestFinished, test } from 'vitest'

import { describe as describeError } from '../../src/cli/exit-codes.ts'
import { ClientError, type Problem } from '../../src/client/error.ts'
import { useCommandLine } from '../support/cli/setup.ts'

function refused(status: number, problem?: Problem): ClientError {
  const response = new Response(null, { status })
  return new ClientError('ERR_RESPONSE', `PATCH was answered with ${status}`, {
    response,
    ...(problem === undefined ? {} : { problem }),
  })
}

describe('a refusal without a problem document', () => {
  test.each([
    [
      401,
      'requires credentials (401); send valid credentials: a token in PARTIAL_UPLOAD_TOKEN, -H',
    ],
    [403, 'does not allow this (403); check the URL and your credentials'],
    [404, 'has nothing at this URL (404); check the URL'],
    [405, 'does not allow this at this URL (405); check the URL'],
    [413, 'does not accept that many bytes (413)'],
    [415, 'does not accept this kind of upload (415); check the URL'],
    [429, 'received too many requests (429); run the same command again later'],
    [502, 'a proxy got no valid answer from the server (502); run'],
    [503, 'is overloaded or restarting (503); run the same command again later'],
    [507, 'has no space left (507); free space on the server'],
  ])('of status %i is explained, with advice', (status, words) => {
    expect(describeError(refused(status))).toContain(words)
  })

  test('with another status names the status', () => {
    expect(describeError(refused(418))).toBe('PATCH was answered with 418')
  })
})

test('the text of the server replaces the explanation, and the advice stays', () => {
  expect(describeError(refused(401, { title: 'Token expired' }))).toMatch(
    /^Token expired \(401\); send valid credentials/,
  )
})

test.each([
  [400, { code: 'ERR_SIZE_LIMIT', detail: 'at most 1000 bytes are accepted' }],
  [400, { code: 'ERR_REFUSED', detail: 'the album is closed' }],
  [403, { code: 'ERR_REFUSED', detail: 'the album is closed' }],
  [415, { code: 'ERR_REFUSED', detail: 'no programs' }],
  [415, { detail: 'no programs' }],
])('a verdict of %i with %j does not advise to check the URL', (status, problem) => {
  expect(describeError(refused(status, problem))).toBe(`${problem.detail} (${status})`)
})

test('a refusal for lack of credentials says how to send them', () => {
  const problem = { code: 'ERR_REFUSED', detail: 'your token has expired' }

  expect(describeError(refused(401, problem))).toContain('a token in PARTIAL_UPLOAD_TOKEN')
})

test.each([
  [{ code: 'ENOSPC' }, 'the disk is full (failed); free space and run the same command again'],
  [{ errno: -122 }, 'the disk is full (failed); free space and run the same command again'],
  [{ code: 'EACCES' }, 'permission is denied (failed)'],
  [{ code: 'HPE_INVALID_CONSTANT' }, 'the answer is not HTTP (failed); check the port'],
  [{ code: 'ENOTFOUND' }, 'the host name is unknown (failed); check the URL'],
  [{ code: 'CERT_HAS_EXPIRED' }, "the server's certificate has expired (failed); ask"],
  [{}, 'failed'],
])('an error of the system with %j is explained', (fields, words) => {
  const error = Object.assign(new Error('failed'), fields)

  expect(describeError(error)).toContain(words)
})

test('the first cause is printed, even where several addresses were tried', () => {
  const refusal = Object.assign(new Error('connect ECONNREFUSED ::1:1'), { code: 'ECONNREFUSED' })
  const cause = new Error('fetch failed', { cause: new AggregateError([refusal], '') })
  const error = new ClientError('ERR_NETWORK', 'HEAD got no answer', { cause })

  expect(describeError(error)).toBe(
    'no server listens at this address (connect ECONNREFUSED ::1:1); check host and port of the URL',
  )
})

test('a different file can be replaced only by a command that has --overwrite', () => {
  const error = new ClientError('ERR_DIFFERENT', 'the URL holds a different file')

  expect(describeError(error)).toBe('the URL holds a different file')
  expect(describeError(error, '--overwrite replaces it')).toBe(
    'the URL holds a different file; --overwrite replaces it',
  )
})

describe('a server that can not be reached', () => {
  const line = useCommandLine()

  async function listen(server: Server): Promise<number> {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    return (server.address() as AddressInfo).port
  }

  function makeCertificate(): { readonly key: Buffer; readonly cert: Buffer } {
    const files = ['-keyout', line.at('key.pem'), '-out', line.at('cert.pem')]
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
    const kind = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1']
    execFileSync('openssl', [...kind, ...files, ...subject], { stdio: 'ignore' })
    return { key: readFileSync(line.at('key.pem')), cert: readFileSync(line.at('cert.pem')) }
  }

  test('because its name is unknown is reported as a wrong host', async () => {
    const { code, err } = await line.run('status', '--retries', '0', 'http://no-such-host.invalid/')

    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/: the host name .+ \(getaddrinfo .+\); /),
    ])
  })

  test('because its certificate is not trusted is reported with advice', async () => {
    const port = await listen(https.createServer(makeCertificate()))
    const url = `https://localhost:${port}/`

    const untrusted = await line.run('get', '--retries', '0', url, 'a')
    const other = await line.run('status', '--retries', '0', url.replace('localhost', '127.0.0.1'))

    expect(untrusted).toMatchObject({
      code: 1,
      err: expect.stringMatching(/: the server's certificate .+; if you trust it/) as string,
    })
    expect(other.code).toBe(1)
  })

  test('because it does not speak TLS is reported as such', async () => {
    const port = await listen(http.createServer())

    const { code, err } = await line.run('status', '--retries', '0', `https://127.0.0.1:${port}/`)

    expect([code, err]).toEqual([1, expect.stringContaining('does not speak TLS')])
  })

  test('because it speaks another protocol is reported as such', async () => {
    const port = await listen(net.createServer((socket) => socket.end('220 mail.example.org\r\n')))

    const { code, err } = await line.run('status', '--retries', '0', `http://127.0.0.1:${port}/`)

    expect([code, err]).toEqual([1, expect.stringContaining('the answer is not HTTP')])
  })
})
