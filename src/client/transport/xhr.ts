/**
 * The transport over `XMLHttpRequest`, which reports upload progress in browsers; `fetch` does not.
 * The content is one Blob that is composed of others, so that the browser reads a file from the
 * disk while it sends it.
 */
import { toBlob } from './blob-body.ts'
import { fetchTransport } from './fetch.ts'
import { toResponse, type Transport } from './transport.ts'

/**
 * The part of the DOM's interface that is used. The client is compiled without the types of the
 * DOM.
 */
interface Xhr {
  readonly status: number
  readonly response: Blob | null
  /** URL of the answer after redirections, without its fragment. */
  readonly responseURL: string
  readonly upload: {
    addEventListener(type: 'progress', listener: (event: { readonly loaded: number }) => void): void
  }
  responseType: string
  addEventListener(type: 'loadend', listener: () => void): void
  withCredentials: boolean
  open(method: string, url: string): void
  setRequestHeader(name: string, value: string): void
  getAllResponseHeaders(): string
  send(body: Blob): void
  abort(): void
}

declare const XMLHttpRequest: new () => Xhr

/**
 * Sends requests with content over `XMLHttpRequest`, and those without over `fetch`, because only
 * `fetch` can bypass the browser's cache.
 */
export const xhrTransport: Transport = async (request) => {
  const { method, url, headers, body, credentials, signal, onMove } = request
  if (body.length === 0) return fetchTransport(request)
  const content = await toBlob(body)
  signal.throwIfAborted()
  const xhr = new XMLHttpRequest()
  xhr.open(method, url)
  xhr.responseType = 'blob'
  xhr.withCredentials = credentials === 'include'
  for (const [name, value] of headers) xhr.setRequestHeader(name, value)
  signal.addEventListener('abort', () => xhr.abort())
  xhr.upload.addEventListener('progress', ({ loaded }) => onMove(loaded))
  await new Promise<void>((resolve) => {
    // `loadend` follows a success, a failure and an abort.
    xhr.addEventListener('loadend', resolve)
    xhr.send(content)
  })
  const fields = xhr.getAllResponseHeaders().matchAll(/^(.+?): (.*)$/gm)
  const answered = new Headers()
  for (const [, name = '', value = ''] of fields) answered.set(name, value)
  // If no answer came, the status is 0, and the constructor of Response throws a RangeError. The
  // caller treats it as a failed network.
  const isRedirected = xhr.responseURL !== url.split('#', 1)[0]
  return toResponse({ status: xhr.status, headers: answered }, xhr.response, isRedirected)
}
