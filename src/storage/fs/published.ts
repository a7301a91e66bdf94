/** Checks what is at the path of a finished resource. */

import type { BigIntStats } from 'node:fs'
import { UploadError } from '../../errors.ts'
import { invalidKey } from '../key.ts'
import { errorCode } from './io.ts'
import { exactLstatIfThere, realPath } from './metadata.ts'
import type { ResourcePaths } from './paths.ts'
import { isOtherSpelling } from './spelling.ts'

/**
 * What is at the path of a finished resource: a file with its metadata, nothing, or something that
 * is not a resource and blocks the path.
 */
export type Published =
  | { readonly kind: 'file'; readonly stat: BigIntStats }
  | { readonly kind: 'none' }
  /** A directory, a symbolic link or a device is at the path, or a parent is not a directory. */
  | { readonly kind: 'blocked' }

/**
 * Checks the path of the finished resource. A symbolic link is not followed, neither at the path
 * nor among its parents, because it may lead out of the directory.
 *
 * @throws UploadError `ERR_KEY` when the path exists in another spelling (`spelling.ts`), or when
 * the file system does not allow the name.
 */
export async function findPublished(paths: ResourcePaths): Promise<Published> {
  const published = await statPublished(paths)
  if (published.kind !== 'blocked' && (await isOtherSpelling(paths))) {
    throw invalidKey('the path names an existing file or directory in another spelling')
  }
  return published
}

async function statPublished(paths: ResourcePaths): Promise<Published> {
  const { parents, published } = paths
  const parent = parents.at(-1)
  try {
    if (parent !== undefined && (await realPath(paths, parent)) !== parent) {
      return { kind: 'blocked' }
    }
    const stat = await exactLstatIfThere(paths, published)
    if (stat === null) return { kind: 'none' }
    return stat.isFile() ? { kind: 'file', stat } : { kind: 'blocked' }
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT') return { kind: 'none' }
    if (code === 'ENOTDIR' || code === 'ELOOP') return { kind: 'blocked' }
    if (code === 'ENAMETOOLONG' || code === 'EILSEQ') {
      throw new UploadError('ERR_KEY', {
        detail: 'the file system does not allow the path as a file name',
        cause: error,
      })
    }
    throw error
  }
}
