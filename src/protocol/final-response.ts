/** Checks the response that `onComplete` returns, before the commit, while the write can still be undone. */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { FinalResponse } from '../hooks.ts'

/** A final response that can be sent: its fields are valid, and an object is JSON already. */
export interface PreparedResponse {
  readonly status?: number
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** Fields that frame the message. Only the server sets them. */
const FRAMING = ['connection', 'content-length', 'trailer', 'transfer-encoding', 'upgrade']

/**
 * Validates a final response and serialises its body, because an error after the commit could not undo the write.
 *
 * @throws TypeError for a status, a field or a body that can't be sent.
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

function toJson(body: object): string {
  const text: unknown = JSON.stringify(body)
  if (typeof text === 'string') return text
  throw new TypeError(`onComplete returned a body that JSON can't represent: ${typeof body}`)
}
