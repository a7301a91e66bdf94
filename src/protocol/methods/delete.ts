/**
 * Answers DELETE (RFC 9110 §9.3.5). It interrupts a writer of the resource at once, because the
 * bytes that the writer stores are unwanted.
 */
import { UploadError } from '../../errors.ts'
import type { HandlerRequest, HandlerResponse } from '../http.ts'
import { checkWriteConditions, hasWriteCondition } from '../preconditions.ts'
import { precheckConditions, recheckOnConflict, withLock, type MethodContext } from './context.ts'

/**
 * Removes the resource, finished or incomplete, and answers with 204. `onRemoved` is called before
 * the answer.
 *
 * @throws UploadError `ERR_NOT_FOUND`, `ERR_PRECONDITION`, `ERR_PRECONDITION_REQUIRED`,
 * `ERR_LOCKED`.
 */
export async function remove(
  request: HandlerRequest,
  context: MethodContext,
): Promise<HandlerResponse> {
  const { headers, key, hooks } = request
  const { storage, events } = context
  // A condition is evaluated only if the answer without it would be a success (RFC 9110 §13.2.1).
  const isAbsent = (await storage.head(key)) === null
  if (!isAbsent || !hasWriteCondition(headers)) await precheckConditions(request, context)
  if (isAbsent) throw nothingToRemove()

  // With a stall of 0 the holder is interrupted even while its client sends.
  const removed = withLock(request, context, 0, async (isLost) => {
    // While this request waited for the lock, another DELETE may have removed the resource, or an
    // upload may have made a version that the client has not seen.
    const info = await storage.head(key)
    if (info === null) throw nothingToRemove()
    checkWriteConditions(headers, info)
    await events.remove({ key, base: info, hooks, isLost }, async () => {
      if (!(await storage.remove(key, { isLost }))) throw nothingToRemove()
    })
    return { status: 204, headers: {} }
  })
  return recheckOnConflict(removed, () => precheckConditions(request, context))
}

function nothingToRemove(): UploadError {
  return new UploadError('ERR_NOT_FOUND', { detail: 'DELETE has nothing to remove' })
}
