/**
 * The transport over `node:http`. A chunk counts as sent when the operating system has taken it,
 * and only then the next one is read. So the progress shows what was sent rather than buffered, and
 * the memory does not grow with the size of the file.
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

/**
 * Number of bytes of one write. Progress is reported after each write, so that a larger one could
 * look like a stall on a slow connection.
 */
const WRITE_SIZE = 64 * 1024
/**
 * Least number of content bytes with which a request has `Expect: 100-continue`. The client then
 * sends the content only after the server has accepted the header fields, so that a refusal costs
 * no bytes (RFC 9110 §10.1.1). For less content the round trip would cost more.
 */
const EXPECT_SIZE = 64 * 1024
/**
 * Longest time to wait for a 100, in milliseconds. After it the content is sent anyway, because not
 * every server and proxy sends a 100.
 */
const EXPECT_TIMEOUT = 1000

/** An agent of `node:http` or `node:https`, for proxies, certificates and limits on connections. */
export type Agent = http.Agent | https.Agent

/**
 * Creates a transport over the agent, or over the global one of Node, which keeps connections open.
 */
export function nodeTransport(agent?: Agent): Transport {
  // Becomes infinite after the server has ignored or refused an expectation, so that no later
  // request of the call waits for a 100 again.
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

/**
 * Sends one request. Calls `onSilence` if the server answers an expectation neither with 100 nor
 * with another status in time.
 */
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
    // After the header of the answer has arrived, the stream of its content reports a broken
    // connection.
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
    // The server has answered before all content was sent. The rest would be wasted, so that the
    // connection is closed.
    if (!req.writableFinished) req.destroy()
  })
}

/** Collects what `node:http` needs for a request. */
function requestOptions(
  { method, headers, body }: TransportRequest,
  agent: Agent | undefined,
  expects: boolean,
): https.RequestOptions {
  return {
    method,
    ...(agent === undefined ? {} : { agent }),
    headers: {
      // A proxy's cache must not answer, because it could report an offset from before the last
      // segment. In browsers `fetch` adds the field for the cache mode `no-store`.
      ...(method === 'HEAD' || method === 'GET' ? { 'Cache-Control': 'no-cache' } : {}),
      ...Object.fromEntries(headers),
      ...(body.length === 0 ? {} : { 'Content-Length': contentSize(body) }),
      ...(expects ? { Expect: '100-continue' } : {}),
    },
  }
}

/** Sends the content, and stops when the answer comes or the connection ends. */
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

/**
 * Resolves after a 100, after the longest wait for it, after a final answer and after the end of
 * the connection. The caller handles the last two.
 */
function untilContinue(req: http.ClientRequest, onSilence: () => void): Promise<void> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined
    const end = (): void => {
      clearTimeout(timer)
      resolve()
    }
    const startTimer = (): void => {
      timer = setTimeout(() => {
        onSilence()
        end()
      }, EXPECT_TIMEOUT)
    }
    req.once('continue', end).once('response', end).once('close', end)
    // The time to connect does not count. A slow connection would otherwise look like a server that
    // ignores the expectation.
    req.once('socket', (socket) => {
      if (socket.connecting) socket.once('connect', startTimer)
      else startTimer()
    })
  })
}

/**
 * Writes chunks with backpressure. When the answer comes or the connection ends, it stops waiting:
 * Node may never call back for a write that is pending then.
 */
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

  /**
   * Resolves with true when the operating system has taken the chunk, so that its memory may be
   * reused. False after an answer or the end of the connection.
   */
  async write(chunk: Uint8Array): Promise<boolean> {
    if (this.#isOver) return false
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      this.#req.write(chunk, () => resolve())
    })
    return !this.#isOver
  }
}

/** Reads the content of an answer, of which it discards what exceeds `MAX_ANSWER` bytes. */
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
