/**
 * Checks a connection that brings any bytes: the server sends well-formed answers or closes it, and
 * works afterwards.
 */
import assert from 'node:assert/strict'

import { field, message, request, type Answer, type Connection } from '../support/wire/client.ts'
import type { FuzzServer } from './server.ts'

/**
 * Statuses that the server may answer to malformed requests. 501 is for an unknown transfer coding,
 * 505 for another version of HTTP.
 */
const STATUSES = [
  200, 201, 202, 204, 206, 299, 304, 400, 404, 405, 408, 409, 411, 412, 413, 414, 415, 416, 417,
  422, 428, 431, 501, 505,
]
/** Time until the client ends its side of the connection, in milliseconds. */
const QUIET = 25
/** Longest time until the server closes the connection, in milliseconds. */
const LONGEST_CLOSE = 3000
const SENTINEL = request('GET', '/sentinel', ['Connection: close'])

/** Sends the bytes and then a valid request, and checks that the connection ends in any case. */
export async function checkHead(server: FuzzServer, bytes: Uint8Array): Promise<void> {
  const path = await server.path()
  const connection = await server.connect()
  connection.send(bytes, SENTINEL)
  const hung = setTimeout(() => connection.socket.destroy(new Error('hung')), LONGEST_CLOSE)
  const quiet = setInterval(() => connection.socket.end(), QUIET)
  const received = await readToEnd(connection)
  clearTimeout(hung)
  clearInterval(quiet)
  const isHung = connection.socket.errored?.message === 'hung'
  // Otherwise the client would keep its side of the connection open, and use memory.
  connection.socket.destroy()
  assert(!isHung, 'the server does not close the connection')

  checkAnswers(received)
  await checkHealth(server, path)
  assert.deepEqual(server.failures.splice(0), [])
}

async function readToEnd({ socket }: Connection): Promise<string> {
  let received = ''
  socket.on('data', (data) => (received += data.toString('latin1')))
  await new Promise((resolve) => socket.on('end', resolve).on('close', resolve))
  return received
}

/** Checks that each answer is well-formed, and that none reports a failure of the server. */
function checkAnswers(received: string): void {
  for (const [head] of received.matchAll(/^HTTP\/1\.1 [^]*?\r\n\r\n/gm)) {
    const [statusLine = '', ...lines] = head.slice(0, -4).split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3}) [\x20-\x7e]*$/.exec(statusLine)?.[1])
    assert(status === 100 || STATUSES.includes(status), statusLine)
    for (const line of lines) assert.match(line, /^[A-Za-z-]+: [\t\x20-\x7e]*$/)
  }
}

/** Checks that the server still accepts an upload in two segments, and serves it. */
async function checkHealth(server: FuzzServer, path: string): Promise<void> {
  const send = async (method: string, body: Uint8Array = Buffer.alloc(0)): Promise<Answer> => {
    const lines = method === 'PATCH' ? ['Content-Type: message/byteranges'] : []
    const connection = await server.connection()
    return connection.send(request(method, path, lines, body)).answer(method)
  }
  const first = await send('PATCH', message('bytes 0-3/10', 'abcd'))
  const head = await send('HEAD')
  const second = await send('PATCH', message('bytes 4-9/10', 'efghij'))
  const get = await send('GET')
  assert.deepEqual(
    [first.status, head.status, field(head, 'content-length'), second.status, get.status],
    [202, 299, '4', 201, 200],
  )
  assert.equal(get.body.toString(), 'abcdefghij')
}
