/** The part of `XMLHttpRequest` that the client uses, over `node:http`. */
import http from 'node:http'

export class FakeXhr extends EventTarget {
  readonly upload = new EventTarget()
  status = 0
  response: unknown = null
  responseURL = ''
  responseType = ''
  withCredentials = false
  #req: http.ClientRequest | null = null
  #answer: http.IncomingMessage | null = null
  #method = ''
  #url = ''
  readonly #headers: Record<string, string> = {}

  open(method: string, url: string): void {
    this.#method = method
    this.#url = url
  }

  setRequestHeader(name: string, value: string): void {
    this.#headers[name] = value
  }

  getAllResponseHeaders(): string {
    const raw = this.#answer?.rawHeaders ?? []
    return raw.map((text, i) => (i % 2 === 0 ? `${text.toLowerCase()}: ` : `${text}\r\n`)).join('')
  }

  send(body: Blob): void {
    const headers = { ...this.#headers, 'Content-Length': body.size }
    const req = http.request(this.#url, { method: this.#method, headers, agent: false })
    this.#req = req
    req.on('error', () => this.#end())
    req.on('response', (answer) => void this.#receive(answer))
    void this.#write(req, body)
  }

  abort(): void {
    this.#end()
    this.#req?.destroy()
  }

  async #write(req: http.ClientRequest, body: Blob): Promise<void> {
    let loaded = 0
    for await (const chunk of body.stream()) {
      await new Promise((resolve) => {
        req.write(chunk, resolve)
      })
      loaded += (chunk as Uint8Array).byteLength
      this.upload.dispatchEvent(Object.assign(new Event('progress'), { loaded }))
    }
    req.end()
  }

  async #receive(answer: http.IncomingMessage): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of answer) chunks.push(chunk as Buffer)
    this.#answer = answer
    this.status = answer.statusCode ?? 0
    this.responseURL = this.#url
    this.response = new Blob(chunks)
    this.#end()
  }

  #ended = false

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.dispatchEvent(new Event('loadend'))
  }
}
