/** An error as `application/problem+json` (RFC 9457). */
import type { UploadError } from '../errors.ts'
import type { HandlerResponse } from './http.ts'

/** What the client is told of an error. */
export function problemResponse(error: UploadError): HandlerResponse {
  const { title, status, message: detail, code, members, headers } = error
  const document = { type: 'about:blank', title, status, detail, code, ...members }
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
