/**
 * A proxy between a server and its object store that loses, delays, cuts and repeats requests and
 * answers.
 */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** What can happen to a request. */
export const WIRE_FAULTS = [
  /** 503 `SlowDown`, without an effect. */
  'refuse',
  /** The effect, and 500 `InternalError`. */
  'fail-after',
  /** The connection ends before the store has seen the request. */
  'cut-before',
  /** The effect, and the connection ends instead of the answer. */
  'lose',
  /** The store receives half of the request. */
  'half-request',
  /** The effect, and half of the answer. */
  'half-answer',
  /** The request has no effect and no answer, until the server gives up. */
  'hang-before',
  /** The request takes effect, and is not answered until the server gives up. */
  'hang-after',
  /** The request takes effect and is answered, and the proxy repeats it later. */
  'duplicate',
  /** The connection is closed, and the request takes effect later. */
  'late',
] as const

/** What can happen to a request. */
export type WireFault = (typeof WIRE_FAULTS)[number]

/** A request as the proxy sees it. */
export interface WireRequest {
  readonly method: string
  /** Path and query. */
  readonly url: string
}

/** Returns the fault of a request; null to let it pass. */
export type Decide = (request: WireRequest) => WireFault | null

/** Delay of a late request, in milliseconds. */
export type Delay = () => number

/** The proxy of one engine. */
export class FaultProxy {
  /** Number of requests by the fault they met. */
  readonly counts = new Map<WireFault, number>()
  /** Every request that arrived. */
  readonly seen: WireRequest[] = []
  /** Chooses the fault of each request from now on. */
  decide: Decide = () => null
  readonly #engine: URL
  readonly #delay: Delay
  readonly #server = http.createServer((req, res) => void this.#handle(req, res))
  readonly #sockets = new Set<Socket>()
  readonly #active = new Set<Promise<void>>()
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 64 })

  constructor(engine: string, delay: Delay = () => 100 + Math.random() * 2900) {
    this.#engine = new URL(engine)
    this.#delay = delay
  }

  async start(): Promise<void> {
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket.on('close', () => this.#sockets.delete(socket)))
    })
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Resolves when no request that has arrived can still take effect. */
  async idle(): Promise<void> {
    while (this.#active.size > 0) await Promise.all(this.#active)
  }

  async stop(): Promise<void> {
    await this.idle()
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
    this.#agent.destroy()
  }

  async #handle(req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
    req.on('error', () => undefined)
    res.on('error', () => undefined)
    const request = { method: req.method ?? '', url: req.url ?? '' }
    this.seen.push(request)
    const body = await bodyOf(req)
    // The server has given up, so that the store never receives the whole request.
    if (body === null) return
    const fault = this.decide(request)
    if (fault !== null) this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1)
    this.#watch(this.#meet(fault, req, res, body).catch(() => void res.destroy()))
  }

  async #meet(
    fault: WireFault | null,
    req: http.IncomingMessage,
    res: http.ServerResponse,
    body: Buffer,
  ): Promise<void> {
    switch (fault) {
      case null:
        answer(res, await this.#forward(req, body))
        return
      case 'refuse':
        fail(res, 503, 'SlowDown')
        return
      case 'fail-after':
        await this.#forward(req, body)
        fail(res, 500, 'InternalError')
        return
      case 'cut-before':
        res.destroy()
        return
      case 'lose':
        await this.#forward(req, body)
        res.destroy()
        return
      case 'half-request':
        await this.#forwardHalf(req, body)
        res.destroy()
        return
      case 'half-answer':
        answerHalf(res, await this.#forward(req, body))
        return
      case 'hang-before':
        return
      case 'hang-after':
        await this.#forward(req, body)
        return
      case 'duplicate':
        answer(res, await this.#forward(req, body))
        this.#later(req, body)
        return
      case 'late':
        res.destroy()
        this.#later(req, body)
    }
  }

  #later(req: http.IncomingMessage, body: Buffer): void {
    const wait = new Promise((resolve) => setTimeout(resolve, this.#delay()))
    const send = wait.then(() => this.#forward(req, body))
    this.#watch(send.then(ignore, ignore))
  }

  #watch(work: Promise<void>): void {
    this.#active.add(work)
    void work.finally(() => this.#active.delete(work))
  }

  /** The signature covers the `Host` field, which therefore stays the proxy's. */
  #open(req: http.IncomingMessage): http.ClientRequest {
    const { expect: _, ...headers } = req.headers
    const { hostname, port } = this.#engine
    const { method, url: path } = req
    return http.request({ hostname, port, method, path, headers, agent: this.#agent })
  }

  async #forward(req: http.IncomingMessage, body: Buffer): Promise<Answer> {
    const upstream = this.#open(req)
    upstream.end(body)
    const [response] = (await once(upstream, 'response')) as [http.IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk as Buffer)
    return {
      status: response.statusCode ?? 500,
      headers: response.headers,
      body: Buffer.concat(chunks),
    }
  }

  async #forwardHalf(req: http.IncomingMessage, body: Buffer): Promise<void> {
    const upstream = this.#open(req)
    upstream.on('error', () => undefined)
    await new Promise<void>((resolve) =>
      upstream.write(body.subarray(0, body.length >> 1), () => resolve()),
    )
    upstream.destroy()
  }
}

function ignore(): void {}

interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
}

function answer(res: http.ServerResponse, { status, headers, body }: Answer): void {
  res.writeHead(status, endToEnd(headers)).end(body)
}

function answerHalf(res: http.ServerResponse, { status, headers, body }: Answer): void {
  const length = { 'content-length': Math.max(1, body.length) }
  res.writeHead(status, { ...endToEnd(headers), ...length })
  res.write(body.subarray(0, body.length >> 1), () => res.destroy())
}

/** Without the fields of the connection to the store. */
function endToEnd(headers: http.IncomingHttpHeaders): http.OutgoingHttpHeaders {
  const { connection: _c, 'keep-alive': _k, 'transfer-encoding': _t, ...rest } = headers
  return rest
}

function fail(res: http.ServerResponse, status: number, code: string): void {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>secret words</Message></Error>`
  res.writeHead(status, { 'Content-Type': 'application/xml' }).end(body)
}

/** The content of a request; null if the server has given up. */
async function bodyOf(req: http.IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of req) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks)
  } catch {
    return null
  }
}
