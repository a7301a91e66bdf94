/** A proxy that breaks requests on purpose, and records them. */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** What happens to one request. Positions count bytes of its content. */
export type Fault =
  /** The proxy answers once the content has arrived; the server does not get the request. */
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly headers?: http.OutgoingHttpHeaders
      readonly body?: string
    }
  /** Forwards `after` bytes, then closes both connections. */
  | { readonly kind: 'cut'; readonly after: number }
  /** Forwards everything, and closes the connection of the client instead of answering. */
  | { readonly kind: 'lose' }
  /**
   * Forwards `after` bytes, and discards the rest, until the client gives up or the server answers.
   * It continues to read, because only a connection that is read reports that the client has closed
   * it.
   */
  | { readonly kind: 'stall'; readonly after: number }
  /** Holds the content back, and after `after` bytes closes the connection of the client. */
  | { readonly kind: 'swallow'; readonly after: number }
  /** Runs before the request is forwarded. */
  | { readonly kind: 'first'; readonly act: () => void | Promise<void> }

/** One request as the client sent it. */
export interface SeenRequest {
  readonly method: string
  readonly headers: http.IncomingHttpHeaders
  /** First position of the range; null if there is none. */
  start: number | null
  /** Bytes of data that the client sent, without the header of the message. */
  data: number
  /** The answer; null if there was none. */
  status: number | null
  /** The `Content-Length` of the answer; null if it had none. */
  length: number | null
}

const PROBLEM = { 'Content-Type': 'application/problem+json' }

export class Proxy {
  readonly seen: SeenRequest[] = []
  readonly #faults: { readonly method: string; readonly fault: Fault }[] = []
  #limit = Infinity
  #problem: object | null = null
  readonly #sockets = new Set<Socket>()
  readonly #server = http.createServer((req, res) => void this.#handle(req, res))
  readonly #stalls: (() => void)[] = []
  readonly #marks: { readonly position: number; readonly resolve: () => void }[] = []
  /** Pending while the network is cut. */
  #cut: Promise<void> | null = null
  #endCut = (): void => undefined
  #target = 0

  async start(target: number): Promise<void> {
    this.#target = target
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket.on('close', () => this.#sockets.delete(socket)))
    })
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** The next request with `method` meets `fault`. */
  fail(method: string, fault: Fault): this {
    this.#faults.push({ method, fault })
    return this
  }

  /** Drops the faults that were not used. */
  clear(): void {
    this.#faults.length = 0
  }

  /**
   * From now on holds content back until it is complete, and answers 413 to more than `limit`
   * bytes, with a problem document that has the members of `problem`, if it is given.
   */
  limit(limit: number, problem: object | null = null): void {
    this.#limit = limit
    this.#problem = problem
  }

  /** Resolves when a request stalls. */
  async stalled(): Promise<void> {
    return new Promise((resolve) => this.#stalls.push(resolve))
  }

  /** Resolves when the client has sent a total of `size` bytes of data. */
  async reached(position: number): Promise<void> {
    return new Promise((resolve) => this.#marks.push({ position, resolve }))
  }

  /** Cuts the network: from now on no byte and no close passes in either direction. */
  cut(): void {
    this.#cut = new Promise((resolve) => {
      this.#endCut = resolve
    })
  }

  /** Ends the cut, which no connection has survived. */
  reconnect(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#cut = null
    this.#endCut()
  }

  /** The requests with `method`, as `start+data → status`. */
  summaries(method = 'PATCH'): readonly string[] {
    return this.seen
      .filter((request) => request.method === method)
      .map(({ start, data, status }) => `${start ?? '*'}+${data} → ${status ?? 'nothing'}`)
  }

  /** Total bytes of data that the client has sent. */
  get sent(): number {
    return this.seen.reduce((sum, { data }) => sum + data, 0)
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #handle(req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
    const request: SeenRequest = {
      method: req.method ?? '',
      headers: req.headers,
      start: null,
      data: 0,
      status: null,
      length: null,
    }
    this.seen.push(request)
    req.on('error', () => undefined)
    await this.#cut
    if (req.destroyed) return
    const fault = this.#take(req)
    if (fault?.kind === 'first') await fault.act()
    watchContent(req, request, () => this.#note())
    if (fault?.kind === 'answer') {
      await drained(req)
      request.status = fault.status
      res.writeHead(fault.status, fault.headers).end(fault.body)
      return
    }
    if (fault?.kind === 'swallow') {
      let held = 0
      req.on('data', (chunk: Buffer) => {
        held += chunk.byteLength
        if (held >= fault.after) req.socket.destroy()
      })
      return
    }
    if (this.#limit < Infinity) {
      const chunks: Buffer[] = []
      for await (const chunk of req) chunks.push(chunk as Buffer)
      const content = Buffer.concat(chunks)
      if (content.byteLength > this.#limit) {
        request.status = 413
        if (this.#problem === null) res.writeHead(413).end()
        else res.writeHead(413, PROBLEM).end(JSON.stringify(this.#problem))
        return
      }
      this.#pass(req, res, request, fault).end(content)
      return
    }
    this.#stream(req, this.#pass(req, res, request, fault), fault)
  }

  #note(): void {
    const { sent } = this
    for (const mark of this.#marks.filter(({ position }) => position <= sent)) {
      this.#marks.splice(this.#marks.indexOf(mark), 1)
      mark.resolve()
    }
  }

  #take(req: http.IncomingMessage): Fault | undefined {
    // A fault after some bytes waits for a request that has this number of bytes.
    const size = Number(req.headers['content-length'] ?? Infinity)
    const index = this.#faults.findIndex(
      ({ method, fault }) => method === req.method && !('after' in fault && fault.after > size),
    )
    return index < 0 ? undefined : this.#faults.splice(index, 1)[0]?.fault
  }

  #pass(
    req: http.IncomingMessage,
    res: http.ServerResponse,
    request: SeenRequest,
    fault: Fault | undefined,
  ): http.ClientRequest {
    const { method, url } = req
    const { expect: _, ...headers } = req.headers
    const upstream = http.request({ port: this.#target, method, path: url, headers, agent: false })
    const isDeaf = fault?.kind === 'cut' || fault?.kind === 'lose'
    let isAnswered = false
    upstream.on('error', () => undefined)
    upstream.on('response', (answer) => {
      isAnswered = true
      // The rest is read, so that the client can read the answer.
      req.resume()
      if (isDeaf) {
        req.socket.destroy()
        return
      }
      void drained(req).then(() => {
        request.status = answer.statusCode ?? null
        request.length = lengthOf(answer)
        const { connection: _connection, ...fields } = answer.headers
        res.writeHead(answer.statusCode ?? 500, fields)
        answer.pipe(res)
      })
    })
    upstream.on('close', () => {
      if (isAnswered) req.resume()
      else req.socket.destroy()
    })
    res.on('close', () => {
      // A cut also hides from the server that the client has closed the connection.
      void Promise.resolve(this.#cut).then(() => {
        if (!req.complete || fault?.kind === 'stall') upstream.destroy()
      })
    })
    return upstream
  }

  #stream(req: http.IncomingMessage, upstream: http.ClientRequest, fault: Fault | undefined): void {
    const limit = fault?.kind === 'cut' || fault?.kind === 'stall' ? fault.after : Infinity
    let passed = 0
    req.on('data', (chunk: Buffer) => {
      // The rest of a request that was answered or that stalls is not needed.
      if (upstream.destroyed || upstream.writableEnded || passed >= limit) return
      if (this.#cut !== null) {
        req.pause()
        return
      }
      const part = chunk.subarray(0, Math.max(0, limit - passed))
      passed += part.byteLength
      if (passed < limit) {
        if (!upstream.write(part)) {
          req.pause()
          upstream.once('drain', () => req.resume())
        }
        return
      }
      if (fault?.kind === 'stall') {
        upstream.write(part, () => {
          for (const resolve of this.#stalls.splice(0)) resolve()
        })
      } else {
        req.pause()
        // The server keeps what arrived before it ends its connection, which ends the client's.
        upstream.write(part, () => upstream.socket?.end())
      }
    })
    req.on('end', () => {
      if (passed < limit) upstream.end()
    })
  }
}

function watchContent(req: http.IncomingMessage, request: SeenRequest, note: () => void): void {
  let header: string | null = ''
  req.on('data', (chunk: Buffer) => {
    if (header === null) {
      request.data += chunk.byteLength
      note()
      return
    }
    header += chunk.toString('latin1')
    const end = header.indexOf('\r\n\r\n')
    if (end < 0) return
    const start = /Content-Range: bytes (\d+)-/.exec(header)?.[1]
    request.start = start === undefined ? null : Number(start)
    request.data = header.length - end - 4
    header = null
  })
}

function lengthOf({ headers }: http.IncomingMessage): number | null {
  const length = headers['content-length']
  return length === undefined ? null : Number(length)
}

async function drained(req: http.IncomingMessage): Promise<void> {
  req.resume()
  // A request also ends when its client disconnects.
  if (!req.complete) await once(req, 'end').catch(() => undefined)
}
