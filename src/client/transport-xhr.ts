/**
 * Requests with `XMLHttpRequest`, which alone tells browsers' real upload progress. Content is a Blob
 * of Blobs, so that a browser reads a file from the disk as it sends it.
 */
import { fetchTransport, toBlob } from './transport-fetch.ts'
import { toResponse, type Transport, type TransportRequest } from './transport.ts'

/** As much of the DOM's interface as is used. */
interface Xhr {
  readonly status: number
  readonly response: unknown
  readonly upload: {
    addEventListener(type: 'progress', listener: (event: { readonly loaded: number }) => void): void
  }
  responseType: string
  withCredentials: boolean
  addEventListener(type: 'progress' | 'load' | 'error' | 'abort', listener: () => void): void
  open(method: string, url: string): void
  setRequestHeader(name: string, value: string): void
  getAllResponseHeaders(): string
  send(body: Blob): void
  abort(): void
}

declare const XMLHttpRequest: new () => Xhr

/** Sends content with `XMLHttpRequest`, and all else with `fetch`, which can pass by the cache. */
export const xhrTransport: Transport = async (request) =>
  request.body.length === 0 ? fetchTransport(request) : send(request)

function send(request: TransportRequest): Promise<Response> {
  const { method, url, headers, body, credentials, signal, onProgress, onAnswer } = request
  const content = toBlob(body)
  const xhr = new XMLHttpRequest()
  xhr.open(method, url)
  xhr.responseType = 'arraybuffer'
  xhr.withCredentials = credentials === 'include'
  for (const [name, value] of headers) xhr.setRequestHeader(name, value)
  const abort = (): void => xhr.abort()
  return new Promise<Response>((resolve, reject) => {
    xhr.upload.addEventListener('progress', ({ loaded }) => onProgress(loaded))
    xhr.addEventListener('progress', onAnswer)
    xhr.addEventListener('load', () => resolve(readResponse(xhr)))
    xhr.addEventListener('error', () => reject(new Error('the request failed')))
    xhr.addEventListener('abort', () => reject(new Error('the request was aborted')))
    signal.addEventListener('abort', abort)
    xhr.send(content)
    if (signal.aborted) abort()
  }).finally(() => signal.removeEventListener('abort', abort))
}

function readResponse(xhr: Xhr): Response {
  const { status, response } = xhr
  const content = response instanceof ArrayBuffer ? [new Uint8Array(response)] : []
  return toResponse(status, parseHeaders(xhr.getAllResponseHeaders()), content)
}

function parseHeaders(text: string): Headers {
  const headers = new Headers()
  for (const line of text.trim().split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) headers.append(line.slice(0, colon), line.slice(colon + 1).trim())
  }
  return headers
}
