/** Compares the number of parts in a patch with its limit. */
import { UploadError } from '../errors.ts'
import type { PartLimits } from './part.ts'

/**
 * Checks that a patch with `count` parts so far does not have too many.
 *
 * @throws UploadError `ERR_PATCH_LIMIT`
 */
export function assertPartCount(count: number, { maxParts }: PartLimits): void {
  if (count <= maxParts) return
  throw new UploadError('ERR_PATCH_LIMIT', { detail: `there are more than ${maxParts} parts` })
}
