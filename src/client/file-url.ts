/** Builds the URL of one of several files. */
import type { Source } from './source/source.ts'
import { scope } from './scope.ts'

/**
 * The URL of a folder that files are uploaded into, or a function that returns the URL of a file.
 */
export type FileUrl<F> = string | URL | ((file: F) => string | URL)

/**
 * Returns the absolute URL of a file. Its name becomes exactly one segment of the path. Half a
 * surrogate pair is replaced, because `encodeURIComponent` throws on it.
 */
export function resolveFileUrl<F>(url: FileUrl<F>, file: F, nameOf: (file: F) => string): string {
  const base = scope.location?.href
  if (typeof url === 'function') return new URL(url(file), base).href
  const folder = new URL(url, base)
  if (!folder.pathname.endsWith('/')) folder.pathname += '/'
  folder.pathname += encodeURIComponent(nameOf(file).replace(/\p{Surrogate}/gu, '\uFFFD'))
  return folder.href
}

/**
 * Returns the name of a `File`, which becomes the last segment of its URL.
 *
 * @throws TypeError for a source without a name.
 */
export function nameOfFile(file: Source): string {
  if ('name' in file && typeof file.name === 'string') return file.name
  throw new TypeError('a source without a name needs a function as `url`')
}
