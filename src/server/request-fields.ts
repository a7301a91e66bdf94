/** The fields of a request, from the header lines and the trailer lines that Node has read. */
import { UploadError } from '../errors.ts'
import type { RequestHeaders } from '../protocol/http.ts'
import type { HttpRequest } from './transport.ts'

/**
 * Length of `rawHeaders` at Node's default limit: the names and values of 1,000 field lines. Node
 * drops later lines silently, and one of them may be the `If-Match` that would have refused the
 * request. `prepareServer` lifts the limit.
 */
const MAX_LISTED_HEADERS = 2000

/**
 * Refuses field lines that Node has read only in part, or that a proxy may have read differently:
 * of two `Host` lines (RFC 9112 §3.2) a proxy may route by one and the app decide by the other.
 *
 * @throws UploadError `ERR_HEADER_LIMIT` or `ERR_FIELD`.
 */
export function checkFieldLines(req: HttpRequest): void {
  const { rawHeaders, socket } = req
  const server: unknown = 'server' in socket ? socket.server : null
  const isUnlimited =
    server instanceof Object && 'maxHeadersCount' in server && server.maxHeadersCount === 0
  if (rawHeaders.length > MAX_LISTED_HEADERS && !isUnlimited) {
    throw new UploadError('ERR_HEADER_LIMIT', {
      detail: 'more than 1,000 field lines, of which Node drops some',
    })
  }
  if (
    rawHeaders.filter((line, index) => index % 2 === 0 && line.toLowerCase() === 'host').length > 1
  ) {
    throw new UploadError('ERR_FIELD', { detail: 'expected one Host, found several' })
  }
}

/** Returns the fields of the header section. Names are given in lower case. */
export function requestHeaders(req: HttpRequest): RequestHeaders {
  return {
    get: (name) => {
      const value = req.headers[name]
      return value === undefined ? null : String(value)
    },
    all: (name) => fieldLines(req, name),
  }
}

/**
 * Returns the fields of the trailer section, which Node fills in when it has read the content; null
 * if the message can't have any. Over HTTP/1.1 only chunked content ends in a trailer section (RFC
 * 9112 §7.1.2).
 */
export function requestTrailers(req: HttpRequest): RequestHeaders | null {
  if (req.httpVersionMajor === 1 && req.headers['transfer-encoding'] === undefined) return null
  const all = (name: string): readonly string[] => {
    // An adapter, such as one for AWS Lambda, may leave `rawTrailers` out.
    const lines: readonly string[] | undefined = req.rawTrailers
    return valuesOf(name, lines ?? [])
  }
  return { get: (name) => (all(name).length === 0 ? null : all(name).join(', ')), all }
}

/**
 * Returns the values of a field, one for each line. They come from `rawHeaders`, because Node's
 * `req.headers` keeps only the first line of some fields, such as `If-Modified-Since`.
 */
function fieldLines({ rawHeaders, headers }: HttpRequest, name: string): readonly string[] {
  if (rawHeaders.length > 0) return valuesOf(name, rawHeaders)
  // An adapter may fill in only `headers`.
  const value = headers[name]
  return value === undefined ? [] : [value].flat()
}

/** Returns the values of one name from a list in which names and values alternate. */
function valuesOf(name: string, lines: readonly string[]): readonly string[] {
  return lines.filter((_, index) => index % 2 === 1 && lines[index - 1]?.toLowerCase() === name)
}
