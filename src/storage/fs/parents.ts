/**
 * Creates the directories above a finished file with the first resource in them, and removes them
 * with the last one.
 */

import { lstat, mkdir, opendir, realpath, rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errorCode, ifThere } from './io.ts'
import { lstatIfThere } from './metadata.ts'
import { STAGING, below, hashOf, keyConflict, pathsOf, stagedPath } from './paths.ts'
import type { ResourcePaths } from './paths.ts'
import { findPublished } from './published.ts'
import { find } from './version.ts'

/**
 * Creates the parent directories that do not exist. Returns the directories that got a new entry,
 * which the caller has to fsync. Each directory is created by a call of its own, because the option
 * `recursive` would follow a symbolic link among the parents, which may lead out of the root.
 *
 * @throws UploadError `ERR_KEY_CONFLICT` when a parent is a file. The directories that were created
 * before are removed then.
 */
export async function makeParents(paths: ResourcePaths): Promise<readonly string[]> {
  const { root, parents } = paths
  const changed: string[] = []
  try {
    for (let index = 0; index < parents.length;) {
      const directory = parents[index] ?? ''
      const outcome = await makeDirectory(root, directory)
      if (outcome === 'made') changed.push(dirname(directory))
      // Another request has removed the last resource in the directory, and the empty directory
      // with it. Its parents may be gone too, so that the creation begins again below the root.
      index = outcome === 'gone' ? 0 : index + 1
    }
    return changed
  } catch (error) {
    await removeMade(paths, changed)
    throw error
  }
}

/**
 * Removes the directories that `makeParents` has created, given its result, if they are empty.
 * Directories that existed before stay.
 */
export async function removeMade(paths: ResourcePaths, changed: readonly string[]): Promise<void> {
  const isMade = (directory: string) => changed.includes(dirname(directory))
  await removeDirectories(paths.parents.filter(isMade))
}

/**
 * Creates one directory. `there`: it existed. `gone`: it, or the directory above it, was removed
 * during the call.
 */
async function makeDirectory(root: string, path: string): Promise<'made' | 'there' | 'gone'> {
  try {
    await mkdir(path)
    return 'made'
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' && dirname(path) !== root) return 'gone'
    if (code !== 'EEXIST') throw error
    const found = await ifThere(lstat(path))
    if (found === null) return 'gone'
    if (!found.isDirectory()) throw keyConflict(error)
    return 'there'
  }
}

/**
 * Removes the parent directories that are empty, from the innermost one up to the root, which
 * stays. A directory behind a symbolic link is not removed.
 */
export async function removeParents({ parents }: ResourcePaths): Promise<void> {
  await removeDirectories(parents)
}

async function removeDirectories(directories: readonly string[]): Promise<void> {
  let isLinkFree = false
  for (const directory of directories.toReversed()) {
    try {
      // The answer holds for the directories above as well. To ask for each of hundreds of nested
      // directories would take seconds, because the kernel walks the whole path for each of its
      // components.
      isLinkFree ||= (await realpath(directory)) === directory
      if (!isLinkFree) return
      await rmdir(directory)
    } catch (error) {
      // The directory is not empty or may not be removed, so that those above it are not empty
      // either.
      if (errorCode(error) !== 'ENOENT') return
    }
  }
}

/**
 * Returns whether the path of a resource is a directory without a file at any depth. Such
 * directories are left over from resources that were removed. Symbolic links are not followed, and
 * count as files.
 */
export async function isRemains({ published }: ResourcePaths): Promise<boolean> {
  return visitRemains(published, async () => {})
}

/**
 * Removes the directory that `isRemains` describes. Returns false if it has a file, or is not a
 * directory.
 */
export async function removeRemains({ published }: ResourcePaths): Promise<boolean> {
  return visitRemains(published, rmdir)
}

/**
 * Errors for a directory that stays: a file was added in the meantime, the path is a file or a
 * link, or this process may not read or remove the directory, which another program has made.
 */
const IN_USE: ReadonlySet<string> = new Set([
  'ENOTEMPTY',
  'EEXIST',
  'EBUSY',
  'ENOENT',
  'ENOTDIR',
  'ELOOP',
  'EACCES',
  'EPERM',
])

/** Called for each empty directory, the deepest first. */
type Visit = (directory: string) => Promise<void>

async function visitRemains(published: string, visit: Visit): Promise<boolean> {
  try {
    return (await realpath(published)) === published && (await visitEmpty(published, visit))
  } catch (error) {
    if (IN_USE.has(errorCode(error) ?? '')) return false
    throw error
  }
}

/**
 * Visits the directory and all directories below it, if they contain directories only; otherwise
 * returns false. A staging directory counts as a file, because it belongs to a store.
 */
async function visitEmpty(directory: string, visit: Visit): Promise<boolean> {
  for await (const entry of await opendir(directory)) {
    if (!entry.isDirectory() || entry.name === STAGING) return false
    if (!(await visitEmpty(below(directory, [entry.name]), visit))) return false
  }
  await visit(directory)
  return true
}

/**
 * Returns whether a part of the path of a new resource is the path of an upload. If the new
 * resource made that part a directory, the upload could not be published any more. An upload whose
 * path already is a directory with files is ignored, because it can't be published anyway.
 */
export async function isBelowUpload(paths: ResourcePaths): Promise<boolean> {
  const { key } = paths
  for (let end = key.indexOf('/'); end !== -1; end = key.indexOf('/', end + 1)) {
    const above = key.slice(0, end)
    // A key may have hundreds of segments. To derive all paths of each of its parents would block
    // the event loop, so that only the name of the record is derived first.
    const record = stagedPath(paths, `${hashOf(above)}.json`)
    if ((await lstatIfThere(paths, record)) === null) continue
    if (await isUpload(pathsOf(paths, above))) return true
  }
  return false
}

/**
 * Returns whether the path is that of a resource which could still be published there, or has been.
 */
async function isUpload(paths: ResourcePaths): Promise<boolean> {
  return (await find(paths)).kind !== 'absent' && !(await isOccupied(paths))
}

/**
 * Returns whether the path can't become a file: it is a directory with files, or something else
 * that is not a resource.
 */
async function isOccupied(paths: ResourcePaths): Promise<boolean> {
  return (await findPublished(paths)).kind === 'blocked' && !(await isRemains(paths))
}
