/** Answers PATCH (RFC 5789) with a byte range patch. */
import type { HandlerRequest, HandlerResponse } from '../http.ts'
import { createPartParser } from '../../media/parse.ts'
import { applyPatch } from './apply-patch.ts'
import { patchLimit, readContentHeader } from './content.ts'
import type { MethodContext } from './context.ts'

/** Answers a PATCH. */
export async function patch(
  request: HandlerRequest,
  context: MethodContext,
): Promise<HandlerResponse> {
  const { headers, contentLength } = request
  const { settings } = context
  const header = readContentHeader(
    request,
    () => createPartParser(headers.all('content-type'), { ...settings, contentLength }),
    () => patchLimit(settings),
  )
  return applyPatch(request, header, context)
}
