/**
 * Answers OPTIONS (RFC 9110 §9.3.7) with the methods and the patch formats that a resource accepts.
 */
import type { HandlerRequest, HandlerResponse } from '../http.ts'
import { ACCEPT_PATCH } from '../../media/parse.ts'
import type { Rules } from '../../options.ts'
import type { MethodContext } from './context.ts'

/**
 * Answers with 204. The answer is the same for a resource that does not exist, because a request
 * can create it.
 */
export async function options(
  _request: HandlerRequest,
  { settings }: MethodContext,
): Promise<HandlerResponse> {
  return {
    status: 204,
    headers: {
      Allow: allowedMethods(settings).join(', '),
      'Accept-Patch': ACCEPT_PATCH,
      'Accept-Ranges': 'bytes',
    },
  }
}

/**
 * Returns the methods that the options of the app allow, for the field `Allow` and for the handler.
 */
export function allowedMethods({ put }: Pick<Rules, 'put'>): readonly string[] {
  return ['GET', 'HEAD', ...(put === false ? [] : ['PUT']), 'PATCH', 'DELETE', 'OPTIONS']
}
