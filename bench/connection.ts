import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** One request: its head, and its content as chunks that are sent as they are. */
export interface Request {
  readonly method: string
  readonly target: string
  /** Fields besides Host and Content-Length. */
  readonly fields?: Readonly<Record<string, string | number>>
  /** Content; none if absent. */
  readonly content?: Content
  /** The status without which the measurement makes no sense. */
  readonly expect: number
}

/** Content of a request. */
export interface Content {
  /** Bytes in all. */
  readonly size: number
  /** The bytes; a chunk may be given again and again. */
  readonly chunks: Iterable<Uint8Array>
}

/** The parts of a response that a measurement needs. */
export interface Response {
  readonly status: number
  /** The head, as it came. */
  readonly head: string
  /** Bytes of content. */
  readonly size: number
}

/** Content up to this many bytes is sent with the head in one system call. */
const SMALL_CONTENT = 128 * 1024

/** One keep-alive connection that sends one request after the other and spends little CPU on it. */
export class Connection {
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Connects to a server on this machine. */
  static async open(port: number): Promise<Connection> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    await once(socket, 'connect')
    return new Connection(socket)
  }

  /**
   * Sends a request and reads its response.
   *
   * @throws Error when the status is not the expected one, also while content is still being sent.
   */
  async exchange(request: Request): Promise<Response> {
    const { method, target, content, expect } = request
    const response = this.#readResponse(method)
    await Promise.race([this.#send(request, content ?? { size: 0, chunks: [] }), response])
    const { status, head, size } = await response
    if (status === expect) return { status, head, size }
    throw new Error(`${method} ${target}: ${status}, expected ${expect}\n${head}`)
  }

  close(): void {
    this.#socket.destroy()
  }

  async #send(request: Request, content: Content): Promise<void> {
    const socket = this.#socket
    socket.cork()
    socket.write(formatHead(request, content.size), 'latin1')
    if (content.size > SMALL_CONTENT) socket.uncork()
    for (const chunk of content.chunks) {
      const hasRoom = socket.write(chunk)
      if (!hasRoom && content.size > SMALL_CONTENT) await once(socket, 'drain')
    }
    if (content.size <= SMALL_CONTENT) socket.uncork()
  }

  async #readResponse(method: string): Promise<Response> {
    return await new Promise((resolve, reject) => {
      const socket = this.#socket
      const response = new ResponseReader(method)
      const settle = (): void => {
        socket.off('data', onData).off('close', onClose).off('error', reject)
      }
      const onData = (chunk: Buffer): void => {
        const whole = response.add(chunk)
        if (whole === null) return
        settle()
        resolve(whole)
      }
      const onClose = (): void => {
        settle()
        reject(new Error(`${method}: the server closed the connection`))
      }
      socket.on('data', onData).on('close', onClose).on('error', reject)
    })
  }
}

/** Reads one response: keeps its head and counts its content. */
class ResponseReader {
  readonly #method: string
  #text = ''
  #head: string | null = null
  #size = 0

  constructor(method: string) {
    this.#method = method
  }

  /** The response once it is whole. There is never more than one response under way. */
  add(chunk: Buffer): Response | null {
    if (this.#head === null) {
      this.#text += chunk.toString('latin1')
      this.#takeHead()
      if (this.#head === null) return null
    } else {
      this.#size += chunk.byteLength
      // Search for the end of chunked content in the last chunk only, because the servers send the
      // terminator whole.
      this.#text = chunk.byteLength < 4096 ? chunk.toString('latin1') : ''
    }
    return this.#isWhole(this.#head) ? this.#response(this.#head) : null
  }

  #takeHead(): void {
    const end = this.#text.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = this.#text.slice(0, end)
    this.#text = this.#text.slice(end + 4)
    if (Number(head.slice(9, 12)) < 200) {
      this.#takeHead()
      return
    }
    this.#head = head
    this.#size = this.#text.length
  }

  #isWhole(head: string): boolean {
    const status = Number(head.slice(9, 12))
    if (this.#method === 'HEAD' || status === 204 || status === 304) return true
    if (/\r\ntransfer-encoding: chunked/i.test(head)) return this.#text.endsWith('0\r\n\r\n')
    return this.#size >= Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
  }

  #response(head: string): Response {
    return { status: Number(head.slice(9, 12)), head, size: this.#size }
  }
}

function formatHead({ method, target, fields = {}, content }: Request, size: number): string {
  let head = `${method} ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n`
  for (const [name, value] of Object.entries(fields)) head += `${name}: ${value}\r\n`
  if (content !== undefined) head += `Content-Length: ${size}\r\n`
  return `${head}\r\n`
}
