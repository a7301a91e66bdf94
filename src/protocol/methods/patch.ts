/** Answers PATCH (RFC 5789), whose content is a patch document: byte ranges and their data. */
import type { HandlerRequest, HandlerResponse } from '../http.ts'
import { createPartParser } from '../../media/parse.ts'
import { applyPatch } from './apply-patch.ts'
import { patchLimit, readContentHeader } from './content.ts'
import type { MethodContext } from './context.ts'

/**
 * Answers a PATCH: 202 if the resource is incomplete afterwards, 201 if the patch has completed a
 * new one, 204 if it has changed a finished one. The options of the app may set other statuses.
 */
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
