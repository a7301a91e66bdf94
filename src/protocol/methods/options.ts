/** Answers OPTIONS (RFC 9110 §9.3.7) with the methods and patch formats of a resource. */
import type { HandlerRequest, HandlerResponse } from '../http.ts'
import { ACCEPT_PATCH } from '../../media/parse.ts'
import type { Rules } from '../../options.ts'
import type { MethodContext } from './context.ts'

/** Answers an OPTIONS. The answer is the same for an absent resource, because a request can create it. */
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

/** The methods of the `Allow` field. */
export function allowedMethods({ put }: Pick<Rules, 'put'>): readonly string[] {
  return ['GET', 'HEAD', ...(put === false ? [] : ['PUT']), 'PATCH', 'DELETE', 'OPTIONS']
}
