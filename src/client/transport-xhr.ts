/**
 * Requests with `XMLHttpRequest`, which alone tells browsers' real upload progress. Content is a Blob
 * of Blobs, so that a browser reads a file from the disk as it sends it.
 */
import { until } from './clock.ts'
import { fetchTransport, toBlob } from './transport-fetch.ts'
import { toResponse, type Transport, type TransportRequest } from './transport.ts'

/** As much of the DOM's interface as is used. */
interface Xhr {
  readonly status: number
  readonly response: Blob
  readonly upload: {
    addEventListener(type: 'progress', listener: (event: { readonly loaded: number }) => void): void
  }
  responseType: string
  withCredentials: boolean
  addEventListener(type: 'loadend', listener: () => void): void
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

async function send(request: TransportRequest): Promise<Response> {
  const { method, url, headers, body, credentials, signal, onMove } = request
  const content = toBlob(body)
  const xhr = new XMLHttpRequest()
  xhr.open(method, url)
  xhr.responseType = 'blob'
  xhr.withCredentials = credentials === 'include'
  for (const [name, value] of headers) xhr.setRequestHeader(name, value)
  await until(signal, (wake) => {
    xhr.upload.addEventListener('progress', ({ loaded }) => onMove(loaded))
    xhr.addEventListener('loadend', wake)
    xhr.send(content)
    return () => {
      if (signal.aborted) xhr.abort()
    }
  })
  if (xhr.status === 0) throw new Error('the request failed')
  return toResponse(xhr.status, parseHeaders(xhr.getAllResponseHeaders()), xhr.response)
}

function parseHeaders(text: string): Headers {
  const headers = new Headers()
  for (const [, name, value] of text.matchAll(/^(.+?): (.*)$/gm)) headers.append(name!, value!)
  return headers
}
