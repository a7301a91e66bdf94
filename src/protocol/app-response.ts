/**
 * Checks the response that `onComplete` returns. The check runs before the commit, because a
 * mistake of the app that was noticed later, when the response is sent, would leave a published
 * file whose client got an error.
 */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { FinalResponse } from '../hooks.ts'

/** A response that can be sent as it is: its fields are valid, and an object has become JSON. */
export interface PreparedResponse {
  /** A 2xx status; left out for the usual one. */
  readonly status?: number
  /** The fields of the app, with a `Content-Type` if there is content. */
  readonly headers: Readonly<Record<string, string>>
  /** The content; left out for none. */
  readonly body?: string | Uint8Array
}

/**
 * Fields that frame the message. A wrong one would make the client misread this or the next answer.
 */
const FRAMING = ['connection', 'content-length', 'trailer', 'transfer-encoding', 'upgrade']

/**
 * Validates a response and serialises its body. Returns null if the app has returned none.
 *
 * @throws TypeError for a status, a field or a body that can't be sent. The message says which.
 */
export function prepareFinalResponse(final: FinalResponse | null): PreparedResponse | null {
  if (final === null) return null
  if (typeof final !== 'object') {
    throw new TypeError(`onComplete returned ${typeof final} instead of an object`)
  }
  const { status, headers = {}, body } = final
  checkStatus(status)
  checkHeaders(headers)
  const fields = { ...(status === undefined ? {} : { status }) }
  if (body === undefined || body instanceof Uint8Array) {
    return { ...fields, headers, ...(body === undefined ? {} : { body }) }
  }
  const type = typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json'
  const hasType = Object.keys(headers).some((name) => name.toLowerCase() === 'content-type')
  return {
    ...fields,
    headers: hasType ? headers : { 'Content-Type': type, ...headers },
    body: typeof body === 'string' ? body : toJson(body),
  }
}

function checkStatus(status: unknown): void {
  if (status === undefined) return
  if (typeof status === 'number' && Number.isInteger(status) && status >= 200 && status <= 299) {
    return
  }
  throw new TypeError(
    `onComplete returned the status ${JSON.stringify(status)}; to refuse, it throws RefusedError`,
  )
}

/**
 * Checks the fields by the rules of Node, which would throw for a wrong one only when the response
 * is sent.
 */
function checkHeaders(headers: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(headers)) {
    validateHeaderName(name)
    if (typeof value !== 'string') {
      throw new TypeError(`onComplete returned ${name} as ${typeof value} instead of a string`)
    }
    validateHeaderValue(name, value)
    if (!FRAMING.includes(name.toLowerCase())) continue
    throw new TypeError(`onComplete returned ${name}, which the server sets itself`)
  }
}

/** Serialises an object. `JSON.stringify` returns undefined for a function, for example. */
function toJson(body: object): string {
  const text: unknown = JSON.stringify(body)
  if (typeof text === 'string') return text
  throw new TypeError(`onComplete returned a body that JSON can't represent: ${typeof body}`)
}
