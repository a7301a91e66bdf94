/** The directories above the finished resources: created with the first resource, removed with the last. */

import { lstat, mkdir, opendir, realpath, rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errorCode, ifThere } from './io.ts'
import { STAGING, below, keyConflict } from './paths.ts'
import type { ResourcePaths } from './paths.ts'

/**
 * Creates the parent directories, and returns the directories that got a new entry, which have to be fsynced.
 * Each is created on its own, because `recursive` would follow a symbolic link among them out of the root.
 *
 * @throws UploadError `ERR_KEY_CONFLICT` when a parent is a file. No directory was created then.
 */
export async function makeParents(paths: ResourcePaths): Promise<readonly string[]> {
  const { root, parents } = paths
  const changed: string[] = []
  try {
    for (let index = 0; index < parents.length;) {
      const directory = parents[index] ?? ''
      const outcome = await makeDirectory(root, directory)
      if (outcome === 'made') changed.push(dirname(directory))
      // The removal of a neighbour has removed the directory or one above it: start again from the root.
      index = outcome === 'gone' ? 0 : index + 1
    }
    return changed
  } catch (error) {
    await removeMade(paths, changed)
    throw error
  }
}

/** Undoes `makeParents`, given its result. Directories of another program stay. */
export async function removeMade(paths: ResourcePaths, changed: readonly string[]): Promise<void> {
  const isMade = (directory: string) => changed.includes(dirname(directory))
  await removeDirectories(paths.parents.filter(isMade))
}

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

/** Removes the parent directories that are empty, without the root. No symbolic link is followed. */
export async function removeParents({ parents }: ResourcePaths): Promise<void> {
  await removeDirectories(parents)
}

async function removeDirectories(directories: readonly string[]): Promise<void> {
  for (const directory of directories.toReversed()) {
    try {
      if ((await realpath(directory)) !== directory) return
      await rmdir(directory)
    } catch (error) {
      // The directory is in use, and therefore those above it are too.
      if (errorCode(error) !== 'ENOENT') return
    }
  }
}

/**
 * Returns whether the path of a resource is a directory that holds no file at any depth, so that it is left
 * over from resources that were removed. No symbolic link is followed.
 */
export async function isRemains({ published }: ResourcePaths): Promise<boolean> {
  return visitRemains(published, async () => {})
}

/** Removes the directory that `isRemains` describes, and returns whether it did. */
export async function removeRemains({ published }: ResourcePaths): Promise<boolean> {
  return visitRemains(published, rmdir)
}

type Visit = (directory: string) => Promise<void>

async function visitRemains(published: string, visit: Visit): Promise<boolean> {
  try {
    return (await realpath(published)) === published && (await visitEmpty(published, visit))
  } catch (error) {
    // A file was added in the meantime, or the path is a file or a link.
    const code = errorCode(error) ?? ''
    if (['ENOTEMPTY', 'EEXIST', 'EBUSY', 'ENOENT', 'ENOTDIR', 'ELOOP'].includes(code)) return false
    throw error
  }
}

async function visitEmpty(directory: string, visit: Visit): Promise<boolean> {
  for await (const entry of await opendir(directory)) {
    if (!entry.isDirectory() || entry.name === STAGING) return false
    if (!(await visitEmpty(below(directory, [entry.name]), visit))) return false
  }
  await visit(directory)
  return true
}
