/** Decides which file a download creates or replaces, and puts the finished download there. */
import type { Stats } from 'node:fs'
import { link, lstat, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import path from 'node:path'

import { DifferentError, UsageError } from './exit-codes.ts'

/** The path that a download is for. */
export interface LocalTarget {
  readonly path: string
  /** Size of the regular file at the path; null if there is none. */
  readonly size: number | null
}

/**
 * Returns the path of the file. If the argument is a folder, this is a file in it with the name
 * from the URL.
 *
 * @throws DifferentError if the path is neither free nor a regular file.
 * @throws UsageError if the argument is a folder, and the URL does not end in a usable file name.
 */
export async function findTarget(file: string, url: URL): Promise<LocalTarget> {
  const found = await stat(file).catch(() => null)
  const isFolder = found?.isDirectory() === true
  const target = isFolder ? path.join(file, nameIn(url, file)) : file
  const there = await lstatOf(target)
  checkReplaceable(target, there, true)
  return { path: target, size: there?.size ?? null }
}

/** Makes the error for a file that may not be replaced. */
export function existsError(file: string): DifferentError {
  return new DifferentError(`${file} exists; --overwrite replaces it`)
}

/**
 * Whether a text can be the name of a file in a folder. Names come from servers, so that `..`, and
 * those with a separator, must not lead out of the folder.
 */
export function isUsableName(name: string): boolean {
  return (
    name !== '' &&
    !/[\\/\p{Cc}]|^\.\.?$/u.test(name) &&
    (process.platform !== 'win32' || !/[:*?"<>|]/.test(name))
  )
}

/**
 * Returns the last segment of a URL, decoded, as the name of a file. A web page may link to any
 * URL.
 */
function nameIn(url: URL, folder: string): string {
  const segment = url.pathname.split('/').at(-1) ?? ''
  let name = ''
  try {
    name = decodeURIComponent(segment)
  } catch {
    // The segment has a % without two hexadecimal digits, or bytes that are not UTF-8. The name
    // stays empty, which is refused below.
  }
  if (!isUsableName(name)) {
    throw new UsageError(
      `"${folder}" is a folder, and the URL does not end in a usable file name: add a name to FILE`,
    )
  }
  return name
}

/**
 * Throws if the path exists and may not be replaced. Without `--overwrite` that is every file. A
 * device, a named pipe and a symbolic link are never replaced, because the user probably means what
 * they lead to.
 */
function checkReplaceable(file: string, there: Stats | null, overwrite: boolean): void {
  if (there === null) return
  if (there.isFile()) {
    if (!overwrite) throw existsError(file)
    return
  }
  const kind = there.isSymbolicLink()
    ? 'a symbolic link: give the path of its target instead'
    : null
  throw new DifferentError(`${file} is ${kind ?? 'not a regular file'}`)
}

/**
 * Gives a finished download its final name, and the permissions of the file that it replaces. Other
 * hard links of the replaced file keep the old content.
 *
 * @throws DifferentError if another program has created a file with this name during the download.
 */
export async function publish(
  handle: FileHandle,
  part: string,
  file: string,
  overwrite: boolean,
): Promise<void> {
  const there = await lstatOf(file)
  checkReplaceable(file, there, overwrite)
  if (there !== null) {
    // Best effort, because only root can give a file to another user.
    await handle.chown(there.uid, there.gid).catch(() => undefined)
    await handle.chmod(there.mode & 0o777)
    await rename(part, file)
    return
  }
  try {
    // `rename` would replace a file that another program has created since the check above. `link`
    // fails then.
    await link(part, file)
  } catch (error) {
    if (hasCode(error, 'EEXIST')) throw existsError(file)
    // The file system does not support hard links, such as FAT.
    await rename(part, file)
    return
  }
  await rm(part)
}

/**
 * Returns the properties of a path, without following a symbolic link; null if it does not exist.
 */
async function lstatOf(file: string): Promise<Stats | null> {
  return lstat(file).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null
    throw error
  })
}

/** Whether an error of the operating system has this code, such as `ENOENT`. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
