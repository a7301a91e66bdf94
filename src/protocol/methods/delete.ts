/** DELETE (RFC 9110 §9.3.5): takes over from any writer at once. */
import { UploadError } from '../../errors.ts'
import type { HandlerRequest, HandlerResponse } from '../http.ts'
import { checkWriteConditions } from '../preconditions.ts'
import { asOnlyWriter, checkEarly, type MethodContext } from './context.ts'

/** Answers a DELETE. */
export async function remove(
  request: HandlerRequest,
  context: MethodContext,
): Promise<HandlerResponse> {
  const { headers, key } = request
  const { storage } = context
  await checkEarly(request, context)
  if ((await storage.head(key)) === null) throw nothingToRemove()

  return asOnlyWriter(request, context, 0, async (lock) => {
    checkWriteConditions(headers, await storage.head(key))
    if (!(await storage.remove(key, { isLost: () => lock.isLost === true })))
      throw nothingToRemove()
    return { status: 204, headers: {} }
  })
}

function nothingToRemove(): UploadError {
  return new UploadError('ERR_NOT_FOUND', { detail: 'there is nothing to remove' })
}
