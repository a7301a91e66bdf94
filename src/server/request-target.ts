/** The target of a request: which path below the mount it names, and which requests are not ours. */
import { invalidKey, keyOfPath, keySegments } from '../storage/key.ts'
import type { HttpRequest } from './transport.ts'

/**
 * Whether a request is a CORS preflight. It is passed on to the `cors` middleware of the app, which may be mounted
 * after this one, because only the app knows which origins it trusts.
 */
export function isPreflight(req: HttpRequest): boolean {
  return req.method === 'OPTIONS' && 'access-control-request-method' in req.headers
}

/** The decoded path; null for the mount itself, which is a folder. Throws as `keyOfPath`. */
export function pathBelowMount(req: HttpRequest): string | null {
  const target = req.url ?? ''
  if (target.includes('#')) throw invalidKey('the request target has a fragment')
  if (target === '*') throw invalidKey(`${req.method} does not go with the request target *`)
  const path = pathOf(req)
  if (path === '/' || path === '') return null
  const key = keyOfPath(path)
  keySegments(key)
  return key
}

/** The path below the mount, without the query. A target may come in absolute form (RFC 9112 §3.2.2). */
function pathOf(req: HttpRequest): string {
  const [path = ''] = (req.url ?? '').replace(/^https?:\/\/[^/?]*/i, '').split('?', 1)
  return path
}

/** GET and HEAD of a folder, which an app may list, and `OPTIONS *`, which is about the whole server. */
export function isPassedOn(req: HttpRequest): boolean {
  const { method = '' } = req
  if (method === 'OPTIONS') return req.url === '*'
  return ['GET', 'HEAD'].includes(method) && /[^/]\/$/.test(pathOf(req))
}
