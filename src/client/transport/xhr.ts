/**
 * Requests with `XMLHttpRequest`, because `fetch` reports no upload progress in browsers. Content is a Blob
 * of Blobs, so that a browser reads a file from the disk as it sends it.
 */
import { toBlob } from './blob-body.ts'
import { fetchTransport } from './fetch.ts'
import { toResponse, type Transport } from './transport.ts'

/** The part of the DOM's interface that is used. */
interface Xhr {
  readonly status: number
  readonly response: Blob | null
  /** Without the fragment. */
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

/** Sends content with `XMLHttpRequest`, and other requests with `fetch`, which can bypass the cache. */
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
    // After an abort `loadend` is dispatched, too.
    xhr.addEventListener('loadend', resolve)
    xhr.send(content)
  })
  const fields = xhr.getAllResponseHeaders().matchAll(/^(.+?): (.*)$/gm)
  const answered = new Headers()
  for (const [, name = '', value = ''] of fields) answered.set(name, value)
  // Without an answer the status is 0, with which the Response constructor throws.
  const isRedirected = xhr.responseURL !== url.split('#', 1)[0]
  return toResponse({ status: xhr.status, headers: answered }, xhr.response, isRedirected)
}
