/** A proxy that breaks requests on purpose, and writes down what came by. */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** What happens to one request. Positions count bytes of its content. */
export type Fault =
  /** Answers itself, once the content has arrived; the server never sees the request. */
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly headers?: http.OutgoingHttpHeaders
      readonly body?: string
    }
  /** Passes `after` bytes on, then ends both connections. */
  | { readonly kind: 'cut'; readonly after: number }
  /** Passes everything on, and ends the client's connection instead of answering. */
  | { readonly kind: 'lose' }
  /**
   * Passes `after` bytes on, and swallows the rest, until the client gives up or the server answers.
   * It reads on, since a connection that nobody reads from does not tell that the client has gone.
   */
  | { readonly kind: 'stall'; readonly after: number }
  /** Holds the content back, and after `after` bytes ends the client's connection. */
  | { readonly kind: 'swallow'; readonly after: number }
  /** Runs before the request is passed on. */
  | { readonly kind: 'first'; readonly act: () => void | Promise<void> }

/** One request as the client sent it. */
export interface Sighting {
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
  readonly seen: Sighting[] = []
  readonly #faults: { readonly method: string; readonly fault: Fault }[] = []
  #limit = Infinity
  #problem: object | null = null
  readonly #sockets = new Set<Socket>()
  readonly #server = http.createServer((req, res) => void this.#handle(req, res))
  readonly #stalls: (() => void)[] = []
  readonly #marks: { readonly position: number; readonly resolve: () => void }[] = []
  /** Pending while the network is cut. */
  #silence: Promise<void> | null = null
  #endSilence = (): void => undefined
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

  /** Forgets the faults that no request has met. */
  heal(): void {
    this.#faults.length = 0
  }

  /**
   * Holds content back until it is whole, and answers 413 to more than `limit` bytes, from now on; with
   * a problem document that has the members of `problem`, if it is given.
   */
  limit(limit: number, problem: object | null = null): void {
    this.#limit = limit
    this.#problem = problem
  }

  /** Resolves when a request has come to its stall. */
  async stalled(): Promise<void> {
    return new Promise((resolve) => this.#stalls.push(resolve))
  }

  /** Resolves when the client has sent so many bytes of data in all. */
  async reached(position: number): Promise<void> {
    return new Promise((resolve) => this.#marks.push({ position, resolve }))
  }

  /** Cuts the network: from now on nothing passes, and nobody is told. */
  cut(): void {
    this.#silence = new Promise((resolve) => {
      this.#endSilence = resolve
    })
  }

  /** Ends the cut, which no connection has survived. */
  mend(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#silence = null
    this.#endSilence()
  }

  /** The requests with `method`, as `start+data → status`. */
  story(method = 'PATCH'): readonly string[] {
    return this.seen
      .filter((sighting) => sighting.method === method)
      .map(({ start, data, status }) => `${start ?? '*'}+${data} → ${status ?? 'nothing'}`)
  }

  /** Bytes of data that the client sent in all. */
  get sent(): number {
    return this.seen.reduce((sum, { data }) => sum + data, 0)
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #handle(req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
    const sighting: Sighting = {
      method: req.method ?? '',
      headers: req.headers,
      start: null,
      data: 0,
      status: null,
      length: null,
    }
    this.seen.push(sighting)
    req.on('error', () => undefined)
    await this.#silence
    if (req.destroyed) return
    const fault = this.#take(req)
    if (fault?.kind === 'first') await fault.act()
    watchContent(req, sighting, () => this.#note())
    if (fault?.kind === 'answer') {
      await drained(req)
      sighting.status = fault.status
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
        sighting.status = 413
        if (this.#problem === null) res.writeHead(413).end()
        else res.writeHead(413, PROBLEM).end(JSON.stringify(this.#problem))
        return
      }
      this.#pass(req, res, sighting, fault).end(content)
      return
    }
    this.#stream(req, this.#pass(req, res, sighting, fault), fault)
  }

  #note(): void {
    const { sent } = this
    for (const mark of this.#marks.filter(({ position }) => position <= sent)) {
      this.#marks.splice(this.#marks.indexOf(mark), 1)
      mark.resolve()
    }
  }

  #take(req: http.IncomingMessage): Fault | undefined {
    // A fault behind some bytes waits for a request that has as many.
    const size = Number(req.headers['content-length'] ?? Infinity)
    const index = this.#faults.findIndex(
      ({ method, fault }) => method === req.method && !('after' in fault && fault.after > size),
    )
    return index < 0 ? undefined : this.#faults.splice(index, 1)[0]?.fault
  }

  #pass(
    req: http.IncomingMessage,
    res: http.ServerResponse,
    sighting: Sighting,
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
      // What is still to come is read, so that the client gets to read the answer.
      req.resume()
      if (isDeaf) {
        req.socket.destroy()
        return
      }
      void drained(req).then(() => {
        sighting.status = answer.statusCode ?? null
        sighting.length = lengthOf(answer)
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
      // Who is beyond a cut does not hear that the client has gone.
      void Promise.resolve(this.#silence).then(() => {
        if (!req.complete || fault?.kind === 'stall') upstream.destroy()
      })
    })
    return upstream
  }

  #stream(req: http.IncomingMessage, upstream: http.ClientRequest, fault: Fault | undefined): void {
    const limit = fault?.kind === 'cut' || fault?.kind === 'stall' ? fault.after : Infinity
    let passed = 0
    req.on('data', (chunk: Buffer) => {
      // Nobody waits for the rest of what is answered already, or of what has stalled.
      if (upstream.destroyed || upstream.writableEnded || passed >= limit) return
      if (this.#silence !== null) {
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

function watchContent(req: http.IncomingMessage, sighting: Sighting, note: () => void): void {
  let header: string | null = ''
  req.on('data', (chunk: Buffer) => {
    if (header === null) {
      sighting.data += chunk.byteLength
      note()
      return
    }
    header += chunk.toString('latin1')
    const end = header.indexOf('\r\n\r\n')
    if (end < 0) return
    const start = /Content-Range: bytes (\d+)-/.exec(header)?.[1]
    sighting.start = start === undefined ? null : Number(start)
    sighting.data = header.length - end - 4
    header = null
  })
}

function lengthOf({ headers }: http.IncomingMessage): number | null {
  const length = headers['content-length']
  return length === undefined ? null : Number(length)
}

async function drained(req: http.IncomingMessage): Promise<void> {
  req.resume()
  // A client that leaves is another way to be done with it.
  if (!req.complete) await once(req, 'end').catch(() => undefined)
}
