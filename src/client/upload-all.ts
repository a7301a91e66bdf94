/**
 * Uploads of many files, for browsers and every other platform with `fetch`, published as
 * `partial-upload/client/upload-all`. It is an entry of its own, so that apps that send single
 * files do not bundle the queue.
 */
import { nameOfFile } from './file-url.ts'
import { upload } from './index.ts'
import { startUploads, type UploadAllOptions, type Uploads } from './many.ts'
import type { Source } from './source/source.ts'

export type { FileStatus, FileUpload } from './file-upload.ts'
export type { TotalProgress, UploadAllOptions, Uploads } from './many.ts'

/**
 * Uploads files, four at a time unless `concurrency` is set. Each is uploaded as by `upload`, so
 * that a file of at most 64 KiB takes one request, and is complete only if the server holds exactly
 * its bytes.
 *
 * @throws TypeError for a wrong option, and for a URL that can't be built, for example because a
 * stream has no name.
 */
export function uploadAll<F extends Source>(
  files: ArrayLike<F> | Iterable<F>,
  options: UploadAllOptions<F>,
): Uploads<F> {
  return startUploads(files, options, upload, nameOfFile)
}
