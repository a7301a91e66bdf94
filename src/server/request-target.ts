/**
 * Reads the target of a request: the path below the mount, and whether the app answers the request
 * itself.
 */
import { invalidKey, keyOfPath, keySegments } from '../storage/key.ts'
import type { HttpRequest } from './transport.ts'

/** A request with what Express adds to it: the mount, and the target as the client sent it. */
type MountedRequest = HttpRequest & {
  readonly baseUrl?: string
  readonly originalUrl?: string
}

/**
 * Whether a request is a CORS preflight. It is passed on to the `cors` middleware of the app, which
 * may be mounted after this one, because only the app knows which origins it trusts.
 */
export function isPreflight(req: HttpRequest): boolean {
  return req.method === 'OPTIONS' && 'access-control-request-method' in req.headers
}

/**
 * Returns the decoded path below the mount; null for the mount itself, which names a folder and not
 * a resource.
 *
 * @throws UploadError `ERR_KEY` for a path that can't be a storage key, such as one with `..` or a
 * control character.
 */
export function pathBelowMount(req: MountedRequest): string | null {
  const target = req.url ?? ''
  if (target.includes('#')) throw invalidKey('the request target has a fragment')
  if (target === '*') throw invalidKey(`${req.method} does not go with the request target *`)
  const path = pathOf(req.url)
  if (hasHiddenSlash(req)) throw invalidKey('the path has an empty segment')
  if (path === '/' || path === '') return null
  const key = keyOfPath(path)
  keySegments(key)
  return key
}

/**
 * Whether a second slash follows the mount, as in `/files//a`. Express 4 removes it with the mount,
 * so that `/files//a` would be another name of `/files/a`, past a check of the app that is mounted
 * at `/files/a`. Express 5 leaves it.
 */
function hasHiddenSlash(req: MountedRequest): boolean {
  const { baseUrl = '', originalUrl = '' } = req
  return baseUrl !== '' && pathOf(originalUrl).startsWith(`${baseUrl}//`)
}

/**
 * Returns the path of the target, still encoded and without the query. A client may send the target
 * in absolute form, `http://host/path`, which each server has to accept (RFC 9112 §3.2.2).
 */
function pathOf(target = ''): string {
  const [path = ''] = target.replace(/^https?:\/\/[^/?]*/i, '').split('?', 1)
  return path
}

/**
 * Whether a request is passed on to the app: GET and HEAD of a folder, because the app may list it,
 * and `OPTIONS *`, which asks about the whole server (RFC 9110 §9.3.7).
 */
export function isPassedOn(req: HttpRequest): boolean {
  const { method = '' } = req
  if (method === 'OPTIONS') return req.url === '*'
  return ['GET', 'HEAD'].includes(method) && /[^/]\/$/.test(pathOf(req.url))
}
