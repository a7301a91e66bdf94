/** Paths of a resource: which keys are allowed, and which names its files have. */

import { hash, randomBytes } from 'node:crypto'
import { lstat, mkdir } from 'node:fs/promises'
import { dirname, sep } from 'node:path'
import { UploadError } from '../../errors.ts'
import { invalidKey, keySegments } from '../key.ts'
import { errorCode, sync } from './io.ts'
import type { OwnerLease } from './owner-lease.ts'
import { isForbiddenName } from './windows.ts'

/**
 * Name of the staging directory, which holds everything but finished files. A key that begins with this name,
 * or with a spelling that some file system treats as the same, is refused.
 */
export const STAGING = '.partial-upload'

const MAX_SEGMENT_SIZE = 255
const MAX_KEY_SIZE = 1024

/** The directories of one store, or of one mount below it. */
export interface Folders {
  /** Absolute path, without symbolic links, of the directory of the finished resources. */
  readonly root: string
  /** Absolute path of the staging directory, which holds records and unpublished data. */
  readonly staging: string
  /** The lease of this process on the files that it stages there. */
  readonly ownerLease: OwnerLease
}

/** The paths of one key. */
export interface ResourcePaths extends Folders {
  /** The key as it was given. */
  readonly key: string
  /** SHA-256 of the key, which names its files in the staging directory: any key gives a valid name. */
  readonly hash: string
  /** The directories above the finished resource, the one nearest to the root first. */
  readonly parents: readonly string[]
  /** Path of the finished file. */
  readonly published: string
  /** Path of the record. */
  readonly record: string
}

/**
 * Derives the paths of `key`.
 *
 * @throws UploadError `ERR_KEY`
 */
export function pathsOf({ root, staging, ownerLease }: Folders, key: string): ResourcePaths {
  const segments = parseKey(key)
  const digest = hash('sha256', key, 'base64url')
  const parents = segments.slice(1).map((_, index) => below(root, segments.slice(0, index + 1)))
  // Below the root, or below the mount that has a staging directory of its own.
  const own = segments[parents.indexOf(dirname(staging)) + 1] ?? ''
  if (isReserved(own)) throw invalidKey('the path is reserved')
  return {
    root,
    staging,
    ownerLease,
    key,
    hash: digest,
    parents,
    published: below(root, segments),
    record: below(staging, [`${digest}.json`]),
  }
}

/** Makes the name of a new data file of the resource. */
export function newDataName({ hash, ownerLease }: ResourcePaths): string {
  return newStagedName(hash, ownerLease, 'data')
}

/** Makes the name of a temporary file. */
export function newTempName({ hash, ownerLease }: ResourcePaths): string {
  return newStagedName(hash, ownerLease, 'tmp')
}

/** Makes the name of a new staged file, from which a sweep learns its resource and its owner. */
export function newStagedName(
  hash: string,
  { id }: OwnerLease,
  type: 'data' | 'patch' | 'tmp',
): string {
  return `${hash}.${id}${randomBytes(6).toString('base64url').slice(0, 6)}.${type}`
}

/** Path of a file in the staging directory. */
export function stagedPath({ staging }: Folders, name: string): string {
  return below(staging, [name])
}

/** Creates a file in the staging directory, and the directory too if another program has removed it. */
export async function inStaging<T>(folders: Folders, make: () => Promise<T>): Promise<T> {
  folders.ownerLease.keepAlive()
  try {
    return await make()
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    await createStaging(folders)
    folders.ownerLease.keepAlive()
    return make()
  }
}

/** Creates the staging directory if it is missing. The directory above it must exist. */
export async function createStaging({ staging }: Folders): Promise<void> {
  try {
    await mkdir(staging, { mode: 0o700 })
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
    if ((await lstat(staging)).isDirectory()) return
    throw new Error(`${staging} must be a directory`, { cause: error })
  }
  await sync(dirname(staging)).catch(() => {}) // Best effort: this process may not be allowed to open the directory.
}

/** Joins a path without the normalisation of `join`, because no segment is a dot segment. */
export function below(folder: string, segments: readonly string[]): string {
  return `${folder}${sep}${segments.join(sep)}`
}

function parseKey(key: string): readonly string[] {
  const segments = keySegments(key)
  if (Buffer.byteLength(key) > MAX_KEY_SIZE) {
    throw invalidKey(`the path exceeds ${MAX_KEY_SIZE} bytes`)
  }
  if (segments.some((segment) => Buffer.byteLength(segment) > MAX_SEGMENT_SIZE)) {
    throw invalidKey(`a segment of the path exceeds ${MAX_SEGMENT_SIZE} bytes`)
  }
  if (segments.some(isForbiddenName)) throw invalidKey('the path has a name that Windows reserves')
  return segments
}

/** Names that have one spelling on every file system, which is nearly all. */
const PLAIN = /^\w[\w.-]*$/
/** Short names that FAT may give to the staging directory. */
const SHORT = /^PA[^.]{0,4}~\d+$/

/**
 * Returns whether some file system treats `name` as the name of the staging directory. File systems may ignore
 * case, differences of Unicode forms, invisible characters, dots and spaces at the end, or all after a colon.
 */
function isReserved(name: string): boolean {
  if (PLAIN.test(name)) return false
  const visible = name.normalize('NFKC').replace(/\p{Default_Ignorable_Code_Point}/gu, '')
  const [start = ''] = visible.toUpperCase().split(':', 1)
  return start.replace(/[. ]+$/, '') === STAGING.toUpperCase() || SHORT.test(start)
}

/** Makes the error for a key whose path is a directory, or is below the file of another key. */
export function keyConflict(cause?: unknown): UploadError {
  return new UploadError('ERR_KEY_CONFLICT', {
    detail: 'the path is a directory, or a part of it is a file',
    cause,
  })
}
