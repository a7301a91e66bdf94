/** Turns an error into a problem document, `application/problem+json` (RFC 9457). */
import { STATUS_CODES } from 'node:http'
import { ERRORS, traitsOf, type UploadError } from '../errors.ts'
import type { HandlerResponse } from '../protocol/http.ts'

/**
 * Returns the answer to a request that failed. The document has the members of RFC 9457 §3.1, the
 * stable `code`, and what the error adds, such as `received`. The answer is `no-store`, because the
 * next attempt may succeed.
 */
export function problemResponse(error: UploadError): HandlerResponse {
  const { status, code, members, headers } = error
  const { problem } = traitsOf(code)
  // With `about:blank` the title has to be the phrase of the status (RFC 9457 §4.2.1).
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
 * Returns the detail of the problem: the meaning of the code, then what was found and expected. The
 * text of a refusal by the app is sent alone, because the client may show it to its user.
 */
function detailOf({ code, message }: UploadError): string {
  return code === 'ERR_REFUSED' ? message : `${ERRORS[code][1]}: ${message}`
}
