/**
 * Derives the paths of a resource from its key: which keys are allowed, and how its files are
 * named.
 */

import { hash, randomBytes } from 'node:crypto'
import { lstat, mkdir } from 'node:fs/promises'
import { dirname, sep } from 'node:path'
import { UploadError } from '../../errors.ts'
import { invalidKey, keySegments } from '../key.ts'
import { errorCode, sync } from './io.ts'
import type { OwnerLease } from './owner-lease.ts'
import { isForbiddenName } from './windows.ts'

/**
 * Name of the staging directory, which holds all files but the finished ones. A key whose first
 * segment is this name is refused, even in a spelling that some file system treats as the same
 * name.
 */
export const STAGING = '.partial-upload'

/** Largest number of bytes of a file name on the file systems of Linux and macOS. */
const MAX_SEGMENT_SIZE = 255
/**
 * Largest number of bytes of a key. The path of the file, which begins with the directory of the
 * store, may have 4096 bytes on Linux and 1024 on macOS.
 */
const MAX_KEY_SIZE = 1024

/** The directories of one store, or of a file system that is mounted below it. */
export interface Folders {
  /** Absolute path, without symbolic links, of the directory of the finished resources. */
  readonly root: string
  /** Absolute path of the staging directory. For a mount it is below the mount point. */
  readonly staging: string
  /** The lease of this process on the files that it creates in the staging directory. */
  readonly ownerLease: OwnerLease
}

/** The paths of the resource under one key. All are absolute. */
export interface ResourcePaths extends Folders {
  /** The key as the protocol has passed it. */
  readonly key: string
  /**
   * SHA-256 of the key in base64url. The names of its staged files begin with it, because a key may
   * contain slashes and be too long for a file name.
   */
  readonly hash: string
  /**
   * The directories above the finished file, below the root. The first one is nearest to the root.
   */
  readonly parents: readonly string[]
  /** Path of the finished file. */
  readonly published: string
  /** Path of the record. */
  readonly record: string
}

/**
 * Derives the paths of `key`, without reading the disk.
 *
 * @throws UploadError `ERR_KEY` for a key that can't be the path of a file.
 */
export function pathsOf({ root, staging, ownerLease }: Folders, key: string): ResourcePaths {
  const segments = parseKey(key)
  const digest = hashOf(key)
  const parents = segments.slice(1).map((_, index) => below(root, segments.slice(0, index + 1)))
  // The staging directory is below the root or below a mount point. A key must not lead into it.
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

/** The hash of a key, with which the names of its files in the staging directory begin. */
export function hashOf(key: string): string {
  return hash('sha256', key, 'base64url')
}

/** Makes the name of a new data file of the resource. */
export function newDataName({ hash, ownerLease }: ResourcePaths): string {
  return newStagedName(hash, ownerLease, 'data')
}

/** Makes the name of a new temporary file of the resource. */
export function newTempName({ hash, ownerLease }: ResourcePaths): string {
  return newStagedName(hash, ownerLease, 'tmp')
}

/**
 * Makes the name of a new staged file: the hash of the key, the id of this process's lease, and 36
 * random bits. From the name, a sweep of another process finds the record and the owner of the
 * file.
 */
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

/**
 * Renews the lease of this process and then calls `make`, which creates a file in the staging
 * directory. If another program has removed the directory, it is created and `make` is called
 * again. The lease comes first, because a sweep of another process removes files without a lease.
 */
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

/**
 * Creates the staging directory if it is missing. The directory above it must exist: if a disk was
 * unmounted, its files must not be written to the disk below the mount point.
 *
 * @throws Error when something else than a directory has its name.
 */
export async function createStaging({ staging }: Folders): Promise<void> {
  try {
    await mkdir(staging, { mode: 0o700 })
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
    if ((await lstat(staging)).isDirectory()) return
    throw new Error(`${staging} must be a directory`, { cause: error })
  }
  // Best effort: this process may not be allowed to open the directory above.
  await sync(dirname(staging)).catch(() => {})
}

/**
 * Joins a path. The normalisation of `join` is not needed, because the caller has checked that no
 * segment is a dot segment.
 */
export function below(folder: string, segments: readonly string[]): string {
  return `${folder}${sep}${segments.join(sep)}`
}

/**
 * Splits a key into its segments.
 *
 * @throws UploadError `ERR_KEY` for a key or a segment that is too long or not allowed.
 */
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

/**
 * Names that every file system stores as they are. Nearly all names match, and skip the check
 * below.
 */
const PLAIN = /^\w[\w.-]*$/
/**
 * The short names (8.3) that FAT and NTFS may give to the staging directory, such as `PARTIA~1`.
 */
const SHORT = /^PA[^.]{0,4}~\d+$/

/**
 * Returns whether some file system treats `name` as the name of the staging directory. File systems
 * may ignore case, differences between Unicode forms, invisible characters, and dots and spaces at
 * the end; NTFS treats the part after a colon as the name of a stream in the same file.
 */
function isReserved(name: string): boolean {
  if (PLAIN.test(name)) return false
  const visible = name.normalize('NFKC').replace(/\p{Default_Ignorable_Code_Point}/gu, '')
  const [start = ''] = visible.toUpperCase().split(':', 1)
  return start.replace(/[. ]+$/, '') === STAGING.toUpperCase() || SHORT.test(start)
}

/** Makes the error for a key whose path is a directory, or leads through a file or an upload. */
export function keyConflict(cause?: unknown): UploadError {
  return new UploadError('ERR_KEY_CONFLICT', {
    detail: 'the path is a directory, or a part of it is a file or an upload',
    cause,
  })
}
