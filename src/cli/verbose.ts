/**
 * Reports requests and answers, for `--verbose`. They come from the diagnostics channels of Node,
 * which see every request of the process: those of `node:http`, and those of `fetch`, which does
 * not use it. Nothing else has to know about the option.
 */
import { subscribe } from 'node:diagnostics_channel'
import { ClientRequest } from 'node:http'

import type { RequestEvent } from './events.ts'

/** Reports the requests of this process from now on, without their fields, which may be secret. */
export function watchRequests(onEvent: (event: RequestEvent) => void): void {
  const onRequest = (request: unknown): void => {
    const target = targetOf(request)
    if (target !== null) onEvent({ event: 'request', ...target })
  }
  const onResponse = (request: unknown, response: unknown): void => {
    const target = targetOf(request)
    const status = read(response, 'statusCode')
    if (target !== null && typeof status === 'number') {
      onEvent({ event: 'response', ...target, status })
    }
  }
  subscribe('http.client.request.start', (message) => onRequest(read(message, 'request')))
  // In spite of its name this comes with the head of the answer. The message has the request as
  // well, so that the lines of several running transfers can be matched.
  subscribe('http.client.response.finish', (message) =>
    onResponse(read(message, 'request'), read(message, 'response')),
  )
  subscribe('undici:request:create', (message) => onRequest(read(message, 'request')))
  subscribe('undici:request:headers', (message) =>
    onResponse(read(message, 'request'), read(message, 'response')),
  )
}

/** Returns the method and the URL of a request of `node:http` or of `fetch`. */
function targetOf(request: unknown): { readonly method: string; readonly url: string } | null {
  if (request instanceof ClientRequest) {
    const { method, protocol, path } = request
    // The property `host` has no port.
    return { method, url: `${protocol}//${String(request.getHeader('host'))}${path}` }
  }
  const [method, origin, path] = ['method', 'origin', 'path'].map((name) => read(request, name))
  if (typeof method !== 'string') return null
  return { method, url: `${String(origin)}${String(path)}` }
}

/** Reads a property of a message, whose type differs between versions of Node. */
function read(value: unknown, name: string): unknown {
  return value instanceof Object ? Reflect.get(value, name) : undefined
}
