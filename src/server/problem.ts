/** An error as `application/problem+json` (RFC 9457). */
import { STATUS_CODES } from 'node:http'
import { ERRORS, traitsOf, type UploadError } from '../errors.ts'
import type { HandlerResponse } from '../protocol/http.ts'

/** The answer to a request that failed. */
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

/** The words of an app that refuses stand alone: they may be for the eyes of its users. */
function detailOf({ code, message }: UploadError): string {
  return code === 'ERR_REFUSED' ? message : `${ERRORS[code][1]}: ${message}`
}
