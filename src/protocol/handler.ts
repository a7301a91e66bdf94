/** Creates the handler of requests, which passes each request to the function of its method. */
import { UploadError } from '../errors.ts'
import type { HandlerRequest, HandlerResponse } from './http.ts'
import type { Method, MethodContext } from './methods/context.ts'
import { remove } from './methods/delete.ts'
import { get, head } from './methods/get.ts'
import { allowedMethods, options } from './methods/options.ts'
import { patch } from './methods/patch.ts'
import { put } from './methods/put.ts'

/**
 * Answers a request. Rejects with an `UploadError` if the client can correct the cause, else with
 * any other error.
 */
export type Handler = (request: HandlerRequest) => Promise<HandlerResponse>

const METHODS: ReadonlyMap<string, Method> = new Map([
  ['GET', get],
  ['HEAD', head],
  ['PUT', put],
  ['PATCH', patch],
  ['DELETE', remove],
  ['OPTIONS', options],
])

/**
 * Creates a handler for the resources of one middleware. It rejects with `ERR_METHOD` (405) for a
 * method that is not implemented, or that the options of the app disable.
 */
export function createHandler(context: MethodContext): Handler {
  const allowed = allowedMethods(context.settings)
  return async (request) => {
    const method = allowed.includes(request.method) ? METHODS.get(request.method) : undefined
    if (method === undefined) throw methodNotAllowed(request.method, allowed)
    return method(request, context)
  }
}

function methodNotAllowed(method: string, allowed: readonly string[]): UploadError {
  return new UploadError('ERR_METHOD', {
    detail: `${method} is not one of ${allowed.join(', ')}`,
    headers: { Allow: allowed.join(', ') },
  })
}
