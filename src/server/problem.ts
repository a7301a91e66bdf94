/** An error as `application/problem+json` (RFC 9457). */
import { STATUS_CODES } from 'node:http'
import { ERRORS, traitsOf, type UploadError } from '../errors.ts'
import type { HandlerResponse } from '../protocol/http.ts'

/** The answer to a request that failed. It is not stored, because the next attempt may succeed. */
export function problemResponse(error: UploadError): HandlerResponse {
  const { status, code, members, headers } = error
  const { problem } = traitsOf(code)
  const { type, title } = problem ?? { type: 'about:blank', title: STATUS_CODES[status] }
  const document = { type, title, status, detail: detailOf(error), code, ...members }
  return {
    status,
    headers: {
      'Content-Type': 'application/problem+json',
      'Cache-Control': 'no-store',
      ...headers,
    },
    body: JSON.stringify(document),
  }
}

/**
 * The detail of the problem. The text of an app's refusal is sent alone, because an app may show it to its users;
 * every other detail follows the meaning of its code.
 */
function detailOf({ code, message }: UploadError): string {
  return code === 'ERR_REFUSED' ? message : `${ERRORS[code][1]}: ${message}`
}
