/** The file that a download creates or replaces. */
import type { Stats } from 'node:fs'
import { link, lstat, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import path from 'node:path'

import { DifferentError, UsageError } from './exit-codes.ts'

/**
 * Returns the path: FILE, or if that is a folder, the name from the URL inside of it.
 *
 * @throws DifferentError if a file exists and must not be replaced, or is not a regular file.
 * @throws UsageError if FILE is a folder and the URL ends in no usable name.
 */
export async function findTarget(file: string, url: URL, overwrite: boolean): Promise<string> {
  const found = await stat(file).catch(() => null)
  const isFolder = found?.isDirectory() === true
  const target = isFolder ? path.join(file, nameIn(url, file)) : file
  checkReplaceable(target, await lstatOf(target), overwrite)
  return target
}

/** The last segment of a URL. It is not trusted, because it must not lead out of the folder. */
function nameIn(url: URL, folder: string): string {
  const segment = url.pathname.split('/').at(-1) ?? ''
  let name = ''
  try {
    name = decodeURIComponent(segment)
  } catch {
    // A % without two digits, or bytes that are not UTF-8.
  }
  if (
    name === '' ||
    /[\\/\p{Cc}]|^\.\.?$/u.test(name) ||
    (process.platform === 'win32' && /[:*?"<>|]/.test(name))
  ) {
    throw new UsageError(
      `"${folder}" is a folder, and the URL does not end in a usable file name: add a name to FILE`,
    )
  }
  return name
}

/** Only a regular file is replaced: not a device, a FIFO or a symbolic link. */
function checkReplaceable(file: string, there: Stats | null, overwrite: boolean): void {
  if (there === null) return
  if (there.isFile()) {
    if (!overwrite) throw new DifferentError(`${file} exists; --overwrite replaces it`)
    return
  }
  const kind = there.isSymbolicLink()
    ? 'a symbolic link: give the path of its target instead'
    : null
  throw new DifferentError(`${file} is ${kind ?? 'not a regular file'}`)
}

/**
 * Gives a finished file its final name, and the permissions of the file that it replaces. Other hard
 * links of the replaced file keep the old content.
 *
 * @throws DifferentError if a file was created there meanwhile.
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
    // Only root can change the owner of a file: best effort.
    await handle.chown(there.uid, there.gid).catch(() => undefined)
    await handle.chmod(there.mode & 0o777)
    await rename(part, file)
    return
  }
  try {
    // Unlike `rename`, this fails if a file was created since the check above.
    await link(part, file)
  } catch (error) {
    if (hasCode(error, 'EEXIST'))
      throw new DifferentError(`${file} exists; --overwrite replaces it`)
    // Some file systems have no hard links.
    await rename(part, file)
    return
  }
  await rm(part)
}

async function lstatOf(file: string): Promise<Stats | null> {
  return lstat(file).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null
    throw error
  })
}

/** Whether an error of the system has this code. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
