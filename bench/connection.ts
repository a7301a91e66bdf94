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

/** What is kept of a response. */
export interface Response {
  readonly status: number
  /** The head, as it came. */
  readonly head: string
}

/** Content up to this many bytes goes out with the head in one system call. */
const SMALL_CONTENT = 128 * 1024

/** One keep-alive connection that sends one request after the other and spends little CPU on it. */
export class Connection {
  readonly #socket: Socket
  #received = ''

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Connects to a server on this machine. */
  static async open(port: number): Promise<Connection> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    socket.setEncoding('latin1')
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
    const { status, head } = await response
    if (status === expect) return { status, head }
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
      const settle = (): void => {
        socket.off('data', onData).off('close', onClose).off('error', reject)
      }
      const onData = (text: string): void => {
        this.#received += text
        const response = takeResponse(this.#received, method)
        if (response === null) return
        this.#received = ''
        settle()
        resolve(response)
      }
      const onClose = (): void => {
        settle()
        reject(new Error(`${method}: the server closed the connection`))
      }
      socket.on('data', onData).on('close', onClose).on('error', reject)
    })
  }
}

function formatHead({ method, target, fields = {}, content }: Request, size: number): string {
  let head = `${method} ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n`
  for (const [name, value] of Object.entries(fields)) head += `${name}: ${value}\r\n`
  if (content !== undefined) head += `Content-Length: ${size}\r\n`
  return `${head}\r\n`
}

/** Null until the response is whole. There is never more than one response under way. */
function takeResponse(text: string, method: string): Response | null {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return null
  const head = text.slice(0, end)
  const status = Number(head.slice(9, 12))
  if (status < 200) return takeResponse(text.slice(end + 4), method)
  const content = text.slice(end + 4)
  return hasAll(head, content, method, status) ? { status, head } : null
}

function hasAll(head: string, content: string, method: string, status: number): boolean {
  if (method === 'HEAD' || status === 204 || status === 304) return true
  if (/\r\ntransfer-encoding: chunked/i.test(head)) return content.endsWith('0\r\n\r\n')
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0
  return content.length >= Number(length)
}
