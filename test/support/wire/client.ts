/** A client on a raw socket: requests as bytes, and responses as they were received. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import tls from 'node:tls'

export type Bytes = string | Uint8Array

/** One response as it was received. */
export interface Answer {
  readonly status: number
  readonly reason: string
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
}

export const MESSAGE = 'Content-Type: message/byteranges'
export const MULTIPART = 'Content-Type: multipart/byteranges; boundary=SEP'
export const CHUNKED = 'Transfer-Encoding: chunked'

const CRLF = Buffer.from('\r\n')
export const LONGEST_WAIT = 20_000

/** A request; `Host` is added, and `Content-Length` if nothing else delimits the body. */
export function request(
  method: string,
  path: string,
  fields: readonly string[] = [],
  body: Bytes = '',
): Buffer {
  const isDelimited = fields.some((line) => /^(?:content-length|transfer-encoding):/i.test(line))
  const bytes = toBuffer(body)
  const length = isDelimited || bytes.length === 0 ? [] : [`Content-Length: ${bytes.length}`]
  const head = [`${method} ${path} HTTP/1.1`, 'Host: test', ...fields, ...length, '', '']
  return Buffer.concat([toBuffer(head.join('\r\n')), bytes])
}

/** A message/byteranges document. */
export function message(contentRange: string, data: Bytes = ''): Buffer {
  return Buffer.concat([toBuffer(`Content-Range: ${contentRange}\r\n\r\n`), toBuffer(data)])
}

/** A multipart/byteranges document with the boundary `SEP`. */
export function multipart(
  ...parts: readonly (readonly [contentRange: string, data: Bytes])[]
): Buffer {
  const pieces = parts.flatMap(([range, data]) => [
    toBuffer('--SEP\r\n'),
    message(range, data),
    CRLF,
  ])
  return Buffer.concat([...pieces, toBuffer('--SEP--\r\n')])
}

/** The pieces as one chunk each, and the last chunk. */
export function chunked(...pieces: readonly Bytes[]): Buffer {
  return Buffer.concat([...pieces.map(chunk), toBuffer('0\r\n\r\n')])
}

/** One chunk of the chunked coding; nothing for an empty piece, which would end the body. */
export function chunk(piece: Bytes): Buffer {
  const bytes = toBuffer(piece)
  if (bytes.length === 0) return bytes
  return Buffer.concat([toBuffer(`${bytes.length.toString(16)}\r\n`), bytes, CRLF])
}

/** A string is sent as its latin-1 bytes. */
export function toBuffer(bytes: Bytes): Buffer {
  return typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes)
}

/** A field of an answer, repeated lines joined by `, `; null if it is absent. */
export function field(answer: Answer, name: string): string | null {
  const lines = answer.fields.filter((line) => line[0].toLowerCase() === name.toLowerCase())
  return lines.length === 0 ? null : lines.map((line) => line[1]).join(', ')
}

export function json(answer: Answer): Record<string, unknown> {
  return JSON.parse(answer.body.toString()) as Record<string, unknown>
}

/** The client's end of a connection, over either transport. */
export interface Peer {
  /** The 1xx answers so far. */
  readonly interim: readonly Answer[]
  /** False once the server has closed the connection. */
  readonly isOpen: boolean
  /** The bytes of an incomplete answer. */
  readonly rest: Buffer
  send(...pieces: readonly Bytes[]): this
  /** Closes the connection after the sent bytes. */
  close(): void
  /** Ends the connection at once. */
  destroy(): void
  /** Sends a request, and stops reading once the answer has begun. */
  stall(text: Bytes): Promise<void>
  /** Resumes reading. */
  resume(): void
  /** The next final answer. The method of its request decides whether it has a body. */
  answer(method?: string): Promise<Answer>
  /** The next final answer; null if the server closes the connection or the stream instead. */
  answerOrClose(method?: string): Promise<Answer | null>
  /** Resolves with 100 Continue. */
  continue(): Promise<void>
  /** Resolves when the server has closed its side of the connection, or of the stream. */
  closed(): Promise<void>
}

/** One connection of a client. Every wait ends with its event, with the close, or with an error. */
export class Connection implements Peer {
  /** The 1xx answers so far. */
  readonly interim: Answer[] = []
  readonly socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #isClosed = false
  readonly #waiting = new Set<() => void>()
  readonly #longestWait: number

  private constructor(socket: Socket, longestWait: number) {
    this.socket = socket
    this.#longestWait = longestWait
    socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes])
      this.#wake()
    })
    for (const event of ['end', 'error', 'close']) {
      socket.on(event, () => {
        this.#isClosed = true
        this.#wake()
      })
    }
  }

  /** Silence of the server beyond `longestWait` milliseconds is an error. */
  static async open(port: number, longestWait = LONGEST_WAIT, ca?: Buffer): Promise<Connection> {
    const options = { port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true }
    const socket = ca === undefined ? connect(options) : tls.connect({ ...options, ca })
    await once(socket, ca === undefined ? 'connect' : 'secureConnect')
    return new Connection(socket, longestWait)
  }

  /** False once the server has closed its side. */
  get isOpen(): boolean {
    return !this.#isClosed
  }

  /** The bytes of an incomplete answer. */
  get rest(): Buffer {
    return this.#received
  }

  send(...pieces: readonly Bytes[]): this {
    for (const piece of pieces) this.socket.write(toBuffer(piece))
    return this
  }

  /** Closes the connection after the sent bytes. */
  close(): void {
    this.socket.destroySoon()
  }

  destroy(): void {
    this.socket.destroy()
  }

  async stall(text: Bytes): Promise<void> {
    this.send(text)
    await once(this.socket, 'data')
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  /** The next final answer. The method of its request decides whether it has a body. */
  async answer(method = 'GET'): Promise<Answer> {
    const answer = await this.answerOrClose(method)
    if (answer === null) throw new Error('the server closed the connection without an answer')
    return answer
  }

  /** The next final answer; null if the server closes the connection instead. */
  async answerOrClose(method = 'GET'): Promise<Answer | null> {
    for (;;) {
      const answer = this.#take(method)
      if (answer !== null && answer.status >= 200) return answer
      if (answer !== null) this.interim.push(answer)
      else if (this.#isClosed) return null
      else await this.#nextEvent(`an answer to ${method}`)
    }
  }

  /** Resolves with 100 Continue. */
  async continue(): Promise<void> {
    for (;;) {
      const answer = this.#take('GET')
      if (answer?.status === 100) return
      if (answer !== null) throw new Error(`the server answered ${answer.status}, not 100 Continue`)
      if (this.#isClosed) throw new Error('the server closed the connection before 100 Continue')
      await this.#nextEvent('100 Continue')
    }
  }

  /** Resolves when the server has closed its side. */
  async closed(): Promise<void> {
    while (!this.#isClosed) await this.#nextEvent('the close')
  }

  #take(method: string): Answer | null {
    const parsed = parseAnswer(this.#received, method, this.#isClosed)
    if (parsed === null) return null
    this.#received = this.#received.subarray(parsed.size)
    return parsed.answer
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  async #nextEvent(what: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const hung = new Error(`hung: ${what} did not come within ${this.#longestWait} ms`)
      const timer = setTimeout(() => reject(hung), this.#longestWait)
      this.#waiting.add(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}

/** One request on a connection of its own, which a cluster gives to any of its processes. */
export async function ask(
  { port }: { readonly port: number },
  method: string,
  path: string,
  fields: readonly string[] = [],
  body: Bytes = '',
): Promise<Answer> {
  const connection = await Connection.open(port)
  const answer = await connection.send(request(method, path, fields, body)).answer(method)
  connection.socket.destroy()
  return answer
}

/** The first complete answer in `bytes` and its size; null if there is none yet. */
function parseAnswer(
  bytes: Buffer,
  method: string,
  isClosed: boolean,
): { readonly answer: Answer; readonly size: number } | null {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return null
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const match = /^HTTP\/1\.1 (\d{3}) (.*)$/.exec(statusLine)
  if (!match) throw new Error(`not a status line: ${statusLine}`)
  const head = { status: Number(match[1]), reason: match[2] ?? '', fields: lines.map(parseField) }
  const content = parseContent(bytes.subarray(end + 4), method, { ...head, body: CRLF }, isClosed)
  if (content === null) return null
  return { answer: { ...head, body: content.body }, size: end + 4 + content.size }
}

function parseField(line: string): readonly [string, string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon), line.slice(colon + 1).trim()]
}

/** RFC 9112 §6.3. */
function parseContent(
  bytes: Buffer,
  method: string,
  head: Answer,
  isClosed: boolean,
): { readonly body: Buffer; readonly size: number } | null {
  const { status } = head
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) {
    return { body: Buffer.alloc(0), size: 0 }
  }
  if (field(head, 'transfer-encoding') === 'chunked') return parseChunks(bytes)
  const length = field(head, 'content-length')
  if (length === null) return isClosed ? { body: bytes, size: bytes.length } : null
  const size = Number(length)
  return bytes.length < size ? null : { body: bytes.subarray(0, size), size }
}

function parseChunks(bytes: Buffer): { readonly body: Buffer; readonly size: number } | null {
  const pieces: Buffer[] = []
  for (let position = 0; ;) {
    const end = bytes.indexOf('\r\n', position)
    if (end === -1) return null
    const size = Number.parseInt(bytes.toString('latin1', position, end), 16)
    const start = end + 2
    position = start + size + 2
    if (bytes.length < position) return null
    if (size === 0) return { body: Buffer.concat(pieces), size: position }
    pieces.push(bytes.subarray(start, start + size))
  }
}
