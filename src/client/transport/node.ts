/**
 * Requests over `node:http`. A chunk counts as sent when the system has taken it, and the next one is
 * read only then. Progress is real, and memory does not grow with the size of the file.
 */
import http from 'node:http'
import https from 'node:https'

import { streamPieces } from '../source/byte-source.ts'
import { fieldsFor, MAX_REDIRECTIONS, redirectionOf } from './redirect.ts'
import {
  MAX_ANSWER,
  contentSize,
  toResponse,
  type Transport,
  type TransportRequest,
} from './transport.ts'

/** Number of bytes of one write, in steps of which progress and stalls are seen on a slow line. */
const WRITE_SIZE = 64 * 1024
/** From this size on a request expects 100: a refusal then costs no bytes (RFC 9110 §10.1.1). */
const EXPECT_SIZE = 64 * 1024
/** Longest wait for a 100 in milliseconds, because not every server sends it. */
const EXPECT_TIMEOUT = 1000

/** An agent of `node:http` or `node:https`, for proxies, certificates and limits on connections. */
export type Agent = http.Agent | https.Agent

/** Creates a transport over the agent, or over Node's global one, which keeps connections open. */
export function nodeTransport(agent?: Agent): Transport {
  let leastExpectSize = EXPECT_SIZE
  const stopAsking = (): void => {
    leastExpectSize = Infinity
  }

  const sendOnce: Transport = async (request) => {
    const expects = contentSize(request.body) >= leastExpectSize
    const response = await send(request, requestOptions(request, agent, expects), stopAsking)
    if (response.status !== 417) return response
    // The server or a proxy does not support the expectation (RFC 9110 §15.5.18).
    stopAsking()
    return send(request, requestOptions(request, agent, false), stopAsking)
  }

  return async (request) => {
    let current = request
    for (let redirections = 0; ; redirections++) {
      const response = await sendOnce(current)
      const { method, url, headers } = current
      const next = redirections < MAX_REDIRECTIONS ? redirectionOf(method, url, response) : null
      if (next === null) return response
      current = { ...current, url: next.href, headers: fieldsFor(url, next, headers) }
    }
  }
}

/** Sends one request. Calls `onSilence` if the server answers an expectation neither with 100 nor with another status. */
function send(
  request: TransportRequest,
  options: https.RequestOptions,
  onSilence: () => void,
): Promise<Response> {
  const { url, signal } = request
  const req = url.startsWith('https:') ? https.request(url, options) : http.request(url, options)
  const abort = (): void => {
    req.destroy()
  }
  return new Promise<Response>((resolve, reject) => {
    signal.addEventListener('abort', abort)
    // After the answer has begun, its own stream reports a broken connection.
    const closed = (): void => reject(new Error('the connection was closed'))
    req.on('error', reject).once('close', closed)
    req.once('response', (answer) => {
      req.off('close', closed)
      readAnswer(answer, request).then(resolve, reject)
    })
    if (signal.aborted) abort()
    else sendContent(req, request, onSilence).catch(reject)
  }).finally(() => {
    signal.removeEventListener('abort', abort)
    // After an early answer the rest of the content is not sent.
    if (!req.writableFinished) req.destroy()
  })
}

function requestOptions(
  { method, headers, body }: TransportRequest,
  agent: Agent | undefined,
  expects: boolean,
): https.RequestOptions {
  return {
    method,
    ...(agent === undefined ? {} : { agent }),
    headers: {
      // An answer from a cache would be treated as the present state, and `fetch` adds this by itself.
      ...(method === 'HEAD' || method === 'GET' ? { 'Cache-Control': 'no-cache' } : {}),
      ...Object.fromEntries(headers),
      ...(body.length === 0 ? {} : { 'Content-Length': contentSize(body) }),
      ...(expects ? { Expect: '100-continue' } : {}),
    },
  }
}

async function sendContent(
  req: http.ClientRequest,
  request: TransportRequest,
  onSilence: () => void,
): Promise<void> {
  const { body, onMove } = request
  const writer = new ContentWriter(req)
  if (req.hasHeader('expect')) await untilContinue(req, onSilence)
  let sent = 0
  for await (const chunk of streamPieces(body)) {
    for (let at = 0; at < chunk.byteLength; at += WRITE_SIZE) {
      const slice = chunk.subarray(at, at + WRITE_SIZE)
      if (!(await writer.write(slice))) return
      sent += slice.byteLength
      onMove(sent)
    }
  }
  req.end()
}

/** Resolves after a 100, after the longest wait for it, and after an answer or the end of the connection. */
function untilContinue(req: http.ClientRequest, onSilence: () => void): Promise<void> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined
    const settle = (): void => {
      clearTimeout(timer)
      resolve()
    }
    const startTimer = (): void => {
      timer = setTimeout(() => {
        onSilence()
        settle()
      }, EXPECT_TIMEOUT)
    }
    req.once('continue', settle).once('response', settle).once('close', settle)
    // The time to connect does not count.
    req.once('socket', (socket) => {
      if (socket.connecting) socket.once('connect', startTimer)
      else startTimer()
    })
  })
}

/** Writes chunks until the answer or the end of the connection comes. */
class ContentWriter {
  readonly #req: http.ClientRequest
  #isOver = false
  #wake = (): void => undefined

  constructor(req: http.ClientRequest) {
    this.#req = req
    const stop = (): void => {
      this.#isOver = true
      this.#wake()
    }
    req.once('response', stop).once('close', stop)
  }

  /** Resolves with true when the system has taken the chunk, and with false after an answer. */
  async write(chunk: Uint8Array): Promise<boolean> {
    if (this.#isOver) return false
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      this.#req.write(chunk, () => resolve())
    })
    return !this.#isOver
  }
}

async function readAnswer(
  answer: http.IncomingMessage,
  { onMove }: TransportRequest,
): Promise<Response> {
  const headers = new Headers()
  for (const [name, values = []] of Object.entries(answer.headersDistinct)) {
    for (const value of values) headers.append(name, value)
  }
  const chunks: Uint8Array[] = []
  let size = 0
  onMove()
  for await (const chunk of answer) {
    if (!(chunk instanceof Uint8Array)) continue
    onMove()
    chunks.push(chunk)
    size += chunk.byteLength
    if (size > MAX_ANSWER) break
  }
  return toResponse({ status: answer.statusCode ?? 0, headers }, new Blob(chunks))
}
