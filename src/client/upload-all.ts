/** Uploads of many files, for browsers and every other platform with `fetch`. */
import { upload } from './index.ts'
import { startUploads, type UploadAllOptions, type Uploads } from './many.ts'
import type { Source } from './source/source.ts'

export type { FileStatus, FileUpload } from './file-upload.ts'
export type { TotalProgress, UploadAllOptions, Uploads } from './many.ts'

/**
 * Uploads files, several at a time. Each is uploaded as `upload` does it: a file of at most 64 KiB takes
 * one request, and each is complete only if the server holds exactly its bytes.
 *
 * @throws TypeError for a wrong option, and for a URL that can't be made.
 */
export function uploadAll<F extends Source>(
  files: ArrayLike<F> | Iterable<F>,
  options: UploadAllOptions<F>,
): Uploads<F> {
  return startUploads(files, options, upload, nameOf)
}

function nameOf(file: Source): string {
  if ('name' in file && typeof file.name === 'string') return file.name
  throw new TypeError('a source without a name needs a function as `url`')
}
