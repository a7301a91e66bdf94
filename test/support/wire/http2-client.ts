/**
 * The client of the wire tests over HTTP/2. It takes requests as HTTP/1.1 text, so that one test
 * shows one text for both transports, and sends each as a stream: with the same fields, and without
 * a Content-Length where the text is chunked.
 */
import { once } from 'node:events'
import { connect } from 'node:http2'
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2'

import { LONGEST_WAIT, toBuffer } from './client.ts'
import type { Answer, Bytes, Peer } from './client.ts'

/** One request and what came back on its stream. */
interface Exchange {
  readonly stream: ClientHttp2Stream
  /** The 1xx answers, then the final one. */
  readonly heads: Omit<Answer, 'body'>[]
  readonly chunks: Buffer[]
  isEnded: boolean
  isClosed: boolean
}

/** The meaning of the next bytes of the text. */
type Expected =
  | { readonly kind: 'head' }
  | { readonly kind: 'content'; readonly stream: ClientHttp2Stream; left: number }
  | { readonly kind: 'chunk'; readonly stream: ClientHttp2Stream }

/**
 * One session. The server may answer its requests in any order; the test reads the answers in the
 * order of sending.
 */
export class Http2Peer implements Peer {
  readonly interim: Answer[] = []
  readonly session: ClientHttp2Session
  readonly #exchanges: Exchange[] = []
  /** Bytes of the text that are not a whole head or chunk yet. */
  #text = Buffer.alloc(0)
  #expected: Expected = { kind: 'head' }
  #isPaused = false
  #latest: ClientHttp2Stream | null = null
  readonly #waiting = new Set<() => void>()

  private constructor(session: ClientHttp2Session) {
    this.session = session
    session.on('error', () => undefined)
    session.on('close', () => this.#wake())
  }

  static async open(origin: string, options: { readonly ca?: Buffer } = {}): Promise<Http2Peer> {
    const session = connect(origin, options)
    await once(session, 'connect')
    return new Http2Peer(session)
  }

  get isOpen(): boolean {
    return !this.session.closed && !this.session.destroyed
  }

  get rest(): Buffer {
    return Buffer.concat(this.#exchanges[0]?.chunks ?? [])
  }

  /** The stream of the latest request. */
  get stream(): ClientHttp2Stream {
    if (this.#latest === null) throw new Error('no request was sent')
    return this.#latest
  }

  send(...pieces: readonly Bytes[]): this {
    this.#text = Buffer.concat([this.#text, ...pieces.map(toBuffer)])
    while (this.#step());
    return this
  }

  close(): void {
    if (!this.isOpen) return
    // The answer to a ping shows that everything before it has arrived.
    this.session.ping(() => this.session.destroy())
  }

  destroy(): void {
    this.session.destroy()
  }

  async stall(text: Bytes): Promise<void> {
    this.#isPaused = true
    this.send(text)
    await once(this.stream, 'response')
  }

  resume(): void {
    this.#isPaused = false
    for (const { stream } of this.#exchanges) stream.resume()
  }

  async answer(method = 'GET'): Promise<Answer> {
    const answer = await this.answerOrClose(method)
    if (answer === null) throw new Error('the server closed the stream without an answer')
    return answer
  }

  async answerOrClose(method = 'GET'): Promise<Answer | null> {
    for (;;) {
      const [exchange] = this.#exchanges
      if (exchange === undefined) throw new Error('no request was sent')
      if (exchange.isEnded || exchange.isClosed || !this.isOpen) {
        this.#exchanges.shift()
        return this.#result(exchange)
      }
      await this.#nextEvent(`an answer to ${method}`)
    }
  }

  async continue(): Promise<void> {
    for (;;) {
      const [exchange] = this.#exchanges
      const head = exchange?.heads.shift()
      if (head?.status === 100) return
      if (head !== undefined) throw new Error(`the server answered ${head.status}, not 100`)
      if (exchange?.isClosed !== false) throw new Error('the stream was closed before 100 Continue')
      await this.#nextEvent('100 Continue')
    }
  }

  /** Resolves when the server has closed the stream of the latest request, or the session. */
  async closed(): Promise<void> {
    const { stream } = this
    while (!stream.closed && this.isOpen) await this.#nextEvent('the close')
  }

  /** An answer that the server has broken off does not count. */
  #result({ heads, chunks, stream, isEnded }: Exchange): Answer | null {
    const final = heads.pop()
    for (const head of heads) this.interim.push({ ...head, body: Buffer.alloc(0) })
    if (final === undefined || (!isEnded && stream.rstCode !== 0)) return null
    return { ...final, body: Buffer.concat(chunks) }
  }

  /** Consumes one head, chunk or piece of content of the text. False if more bytes are needed. */
  #step(): boolean {
    // A request that was answered before its content ended gets no more content.
    if (this.#expected.kind !== 'head' && isOver(this.#expected.stream)) {
      this.#expected = { kind: 'head' }
    }
    if (this.#expected.kind === 'content') return this.#sendContent(this.#expected)
    if (this.#expected.kind === 'chunk') return this.#sendChunk(this.#expected.stream)
    const end = this.#text.indexOf('\r\n\r\n')
    if (end === -1) return false
    this.#begin(this.#take(end + 4).toString('latin1', 0, end))
    return true
  }

  #begin(head: string): void {
    const [requestLine = '', ...lines] = head.split('\r\n')
    const [method = '', path = ''] = requestLine.split(' ')
    const fields: OutgoingHttpHeaders = { ':method': method, ':path': path }
    for (const line of lines) {
      const colon = line.indexOf(':')
      const name = line.slice(0, colon).toLowerCase()
      const value = line.slice(colon + 1).trim()
      if (name === 'host') fields[':authority'] = value
      else fields[name] = name in fields ? [fields[name] ?? [], value].flat().map(String) : value
    }
    const isChunked = 'transfer-encoding' in fields
    delete fields['transfer-encoding']
    const left = Number(fields['content-length'] ?? 0)
    const stream = this.session.request(fields, {
      endStream: !isChunked && left === 0,
      waitForTrailers: isChunked,
    })
    this.#listen(stream)
    if (isChunked) this.#expected = { kind: 'chunk', stream }
    else if (left > 0) this.#expected = { kind: 'content', stream, left }
  }

  #sendContent(expected: Extract<Expected, { readonly kind: 'content' }>): boolean {
    if (this.#text.length === 0) return false
    const piece = this.#take(Math.min(expected.left, this.#text.length))
    expected.left -= piece.length
    this.#write(expected.stream, piece)
    if (expected.left === 0) this.#end(expected.stream)
    return true
  }

  #sendChunk(stream: ClientHttp2Stream): boolean {
    const end = this.#text.indexOf('\r\n')
    if (end === -1) return false
    const size = Number.parseInt(this.#text.toString('latin1', 0, end), 16)
    if (Number.isNaN(size)) throw new Error('expected the size of a chunk')
    if (size === 0) return this.#sendTrailer(stream, end)
    if (this.#text.length < end + size + 4) return false
    const piece = this.#take(end + size + 4).subarray(end + 2, -2)
    this.#write(stream, piece)
    return true
  }

  /** The stream was opened to wait for trailers, so that it ends with them alone. */
  #sendTrailer(stream: ClientHttp2Stream, start: number): boolean {
    const end = this.#text.indexOf('\r\n\r\n', start)
    if (end === -1) return false
    const lines = this.#take(end + 4)
      .toString('latin1', start, end)
      .split('\r\n')
    const fields = lines.slice(1).map((line): readonly [string, string] => {
      const [name = '', value = ''] = line.split(': ', 2)
      return [name, value]
    })
    stream.on('wantTrailers', () => stream.sendTrailers(Object.fromEntries(fields)))
    this.#end(stream)
    return true
  }

  #write(stream: ClientHttp2Stream, piece: Buffer): void {
    if (!stream.destroyed && !stream.closed) stream.write(piece)
  }

  #end(stream: ClientHttp2Stream): void {
    this.#expected = { kind: 'head' }
    if (!stream.destroyed && !stream.closed) stream.end()
  }

  #take(size: number): Buffer {
    const bytes = this.#text.subarray(0, size)
    this.#text = this.#text.subarray(size)
    return bytes
  }

  #listen(stream: ClientHttp2Stream): void {
    const exchange: Exchange = { stream, heads: [], chunks: [], isEnded: false, isClosed: false }
    this.#exchanges.push(exchange)
    this.#latest = stream
    const onHead = (headers: object, _flags: number, lines: readonly string[]): void => {
      const fields = Array.from({ length: lines.length / 2 }, (_, index) => index * 2)
        .map((index) => [lines[index] ?? '', lines[index + 1] ?? ''] as const)
        .filter(([name]) => !name.startsWith(':'))
      const status = Number((headers as Record<string, unknown>)[':status'])
      exchange.heads.push({ status, reason: '', fields })
      this.#wake()
    }
    stream.on('headers', onHead).on('response', onHead)
    stream.on('data', (chunk: Buffer) => {
      exchange.chunks.push(chunk)
      this.#wake()
    })
    if (this.#isPaused) stream.pause()
    stream.on('end', () => {
      // A stream that is reset emits it, too.
      exchange.isEnded = stream.rstCode === 0 && exchange.heads.length > 0
      this.#wake()
    })
    stream.on('error', () => undefined)
    stream.on('close', () => {
      exchange.isClosed = true
      this.#wake()
    })
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  async #nextEvent(what: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const hung = new Error(`hung: ${what} did not come within ${LONGEST_WAIT} ms`)
      const timer = setTimeout(() => reject(hung), LONGEST_WAIT)
      this.#waiting.add(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}

function isOver(stream: ClientHttp2Stream): boolean {
  return stream.closed || stream.destroyed || stream.readableEnded
}
