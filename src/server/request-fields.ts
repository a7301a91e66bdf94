/** The fields of a request, from the header lines and the trailer lines that Node has read. */
import { UploadError } from '../errors.ts'
import type { RequestHeaders } from '../protocol/http.ts'
import type { HttpRequest } from './transport.ts'

/**
 * Names and values of the field lines that Node reads: 1,000 lines, unless `prepareServer` lifts the limit. Node
 * drops later lines silently, and with them perhaps the `If-Match` that would have refused the request.
 */
const MAX_LISTED_HEADERS = 2000

/**
 * Refuses field lines that Node has read only in part, or that a proxy may have read differently: of two `Host`
 * lines (RFC 9112 §3.2) a proxy may route by one and the app decide by the other.
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

/** The fields of the header section. */
export function requestHeaders(req: HttpRequest): RequestHeaders {
  return {
    get: (name) => {
      const value = req.headers[name]
      return value === undefined ? null : String(value)
    },
    all: (name) => fieldLines(req, name),
  }
}

/** The trailer fields, which Node adds while it reads. HTTP/1.1 has them in chunked content alone. */
export function requestTrailers(req: HttpRequest): RequestHeaders | null {
  if (req.httpVersionMajor === 1 && req.headers['transfer-encoding'] === undefined) return null
  const all = (name: string): readonly string[] => {
    // An adapter of another platform may have none.
    const lines: readonly string[] | undefined = req.rawTrailers
    return valuesOf(name, lines ?? [])
  }
  return { get: (name) => (all(name).length === 0 ? null : all(name).join(', ')), all }
}

/** The lines of a field, from the raw lines, because `req.headers` has only the first line of some fields. */
function fieldLines({ rawHeaders, headers }: HttpRequest, name: string): readonly string[] {
  if (rawHeaders.length > 0) return valuesOf(name, rawHeaders)
  // An adapter may give nothing but `headers`.
  const value = headers[name]
  return value === undefined ? [] : [value].flat()
}

function valuesOf(name: string, lines: readonly string[]): readonly string[] {
  return lines.filter((_, index) => index % 2 === 1 && lines[index - 1]?.toLowerCase() === name)
}
