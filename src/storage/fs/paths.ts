/** Where a resource of the file store is: the rules of its key, and its paths. */

import { hash, randomBytes } from 'node:crypto'
import { lstat, mkdir } from 'node:fs/promises'
import { dirname, sep } from 'node:path'
import { UploadError } from '../../errors.ts'
import { invalidKey, keySegments } from '../key.ts'
import { errorCode, sync } from './io.ts'
import type { OwnerLease } from './owner-lease.ts'
import { isForbiddenName } from './windows.ts'

/** Holds all that is not a finished resource. In no spelling does a key name something there. */
export const STAGING = '.partial-upload'

const MAX_SEGMENT_SIZE = 255
const MAX_KEY_SIZE = 1024

/** The folders of one store. */
export interface Folders {
  /** Absolute path without symbolic links, of the folder that holds the finished resources. */
  readonly root: string
  /** Absolute path of the folder that holds records and unpublished data. */
  readonly staging: string
  /** The lease of this process on what it stages there. */
  readonly ownerLease: OwnerLease
}

/** The paths of one key. */
export interface ResourcePaths extends Folders {
  /** The key as it was given. */
  readonly key: string
  /** Names the key's files in the hidden folder, whatever the key's length and letters. */
  readonly hash: string
  /** The directories that the finished resource is in, from the one nearest to the root. */
  readonly parents: readonly string[]
  /** The finished resource. */
  readonly published: string
  /** The record. */
  readonly record: string
}

/**
 * Finds the paths of `key`.
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

/** Names a new file for the data of the resource. */
export function newDataName({ hash, ownerLease }: ResourcePaths): string {
  return newStagedName(hash, ownerLease, 'data')
}

/** Names a file that is put aside for a moment. */
export function newTempName({ hash, ownerLease }: ResourcePaths): string {
  return newStagedName(hash, ownerLease, 'tmp')
}

/** Names a new file in the staging directory: by the name, a sweep knows its resource and its owner. */
export function newStagedName(hash: string, { id }: OwnerLease, type: 'data' | 'tmp'): string {
  return `${hash}.${id}${randomBytes(6).toString('base64url').slice(0, 6)}.${type}`
}

/** Path of a file in the hidden folder. */
export function stagedPath({ staging }: Folders, name: string): string {
  return below(staging, [name])
}

/** Makes a file in the hidden folder, and that folder too if somebody has removed it. */
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

/** Makes the hidden folder, unless it is there. The root must be. */
export async function createStaging({ staging }: Folders): Promise<void> {
  try {
    await mkdir(staging, { mode: 0o700 })
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
    if ((await lstat(staging)).isDirectory()) return
    throw new Error(`${staging} must be a directory`, { cause: error })
  }
  await sync(dirname(staging)).catch(() => {}) // As far as this process may.
}

/** `join` would look for dots, which no segment of ours is. */
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

/** Names that are themselves on every file system. */
const PLAIN = /^\w[\w.-]*$/
/** What FAT calls the hidden folder, too, or any other folder whose long name begins like it. */
const SHORT = /^PA[^.]{0,4}~\d+$/

/**
 * Tells whether a file system could take a name for that of the hidden folder: some know no case or
 * no difference of Unicode forms, or don't see characters without a shape, an end of dots and spaces
 * or what follows a colon.
 */
function isReserved(name: string): boolean {
  if (PLAIN.test(name)) return false
  const visible = name.normalize('NFKC').replace(/\p{Default_Ignorable_Code_Point}/gu, '')
  const [start = ''] = visible.toUpperCase().split(':', 1)
  return start.replace(/[. ]+$/, '') === STAGING.toUpperCase() || SHORT.test(start)
}

/** Makes the error for a key that stands where another one needs a directory, or the reverse. */
export function keyConflict(cause?: unknown): UploadError {
  return new UploadError('ERR_KEY_CONFLICT', {
    detail: 'the path is a directory, or a part of it is a file',
    cause,
  })
}
