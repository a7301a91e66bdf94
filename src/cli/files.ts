/** Finds the files that `put` sends, and decides on their URLs. */
import type { Dirent, Stats } from 'node:fs'
import { isUtf8 } from 'node:buffer'
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'

import { summarize, UsageError } from './exit-codes.ts'
import { isChosen, type Filter } from './filter.ts'
import { glob, isPattern } from './glob.ts'

const MISSING = 'there is no such file'

/** One file to send. */
export interface FileToSend {
  /** Name in the report, as the user has written it. */
  readonly name: string
  /** Path of the file; null for the standard input. */
  readonly path: string | null
  /** Path below the URL of the command, with slashes; empty for the standard input. */
  readonly target: string
  /** URL of the resource. */
  readonly url: string
}

/** A remark about a file that is not sent. */
export interface Remark {
  readonly name: string
  readonly message: string
}

/** The files to send, and remarks about those that are not sent. */
export interface Collection {
  readonly files: readonly FileToSend[]
  /** The arguments and the entries of folders that are missing or can't be read. */
  readonly failures: readonly Remark[]
  /** The entries of folders that are neither a file nor a folder, which is not an error. */
  readonly skipped: readonly Remark[]
}

/** The remarks of a `Collection` while it is built. */
interface Remarks {
  readonly failures: Remark[]
  readonly skipped: Remark[]
}

/**
 * Finds the files that the arguments name, including those in folders at any depth. A symbolic link
 * is followed if it is an argument. Inside a folder it is not, because it may lead in a circle, or
 * to files that the user did not mean to publish.
 *
 * @throws UsageError if a folder or several files would go to a URL without a slash at its end, if
 * the standard input would go to one with a slash, and if two files would have the same URL.
 */
export async function collectFiles(
  names: readonly string[],
  url: URL,
  filter: Filter,
): Promise<Collection> {
  const found: FileToSend[] = []
  const remarks: Remarks = { failures: [], skipped: [] }
  for (const name of await expandPatterns(names)) {
    const more = name === '-' ? standardInput(url) : await findFiles(name, url, filter, remarks)
    // `push(...more)` would pass each file as an argument, and overflow the stack for large
    // folders.
    for (const file of more) found.push(file)
  }
  const files = found.filter(({ path, target }) => path === null || isChosen(filter, target))
  // A misspelled pattern would otherwise look like a success.
  if (found.length > 0 && files.length === 0) {
    remarks.failures.push({ name: names.join(' '), message: 'no file matches the patterns' })
  }
  if (files.length > 1 && !url.pathname.endsWith('/')) {
    throw new UsageError('several files need a URL that ends in a slash')
  }
  checkDistinct(files)
  return { files, ...remarks }
}

/** Returns the standard input as a file to send. */
function standardInput(url: URL): readonly FileToSend[] {
  if (url.pathname.endsWith('/'))
    throw new UsageError('the standard input has no name: add a file name to the URL')
  return [{ name: 'standard input', path: null, target: '', url: url.href }]
}

/** Returns the file with this name, or all files in the folder with this name. */
async function findFiles(
  name: string,
  url: URL,
  { exclude }: Filter,
  remarks: Remarks,
): Promise<readonly FileToSend[]> {
  const isCollection = url.pathname.endsWith('/')
  const kind = await kindOf(name)
  const base = path.basename(name)
  if (kind === 'file') {
    const place = isCollection ? below(url, base) : url.href
    return [{ name, path: name, target: base, url: place }]
  }
  if (kind !== 'folder') {
    remarks.failures.push({ name, message: kind })
    return []
  }
  if (!isCollection) {
    throw new UsageError(`"${name}" is a folder, and needs a URL that ends in a slash`)
  }
  const files: FileToSend[] = []
  const prefix = isItself(name) ? '' : `${base}/`
  const isWanted = (target: string): boolean => isChosen({ include: [], exclude }, target)
  await listFolder({ folder: name, prefix, isWanted }, remarks, (own, target) =>
    files.push({ name: own, path: own, target, url: below(url, target) }),
  )
  return files
}

/**
 * Expands patterns such as `*.jpg`. A shell has done so already, except on Windows and for
 * arguments in quotation marks.
 */
async function expandPatterns(names: readonly string[]): Promise<readonly string[]> {
  const found: string[] = []
  for (const name of names) {
    // A file may have a name that looks like a pattern, such as `what?.txt`. The file takes
    // precedence.
    const matches = isPattern(name) && (await kindOf(name)) === MISSING ? await glob(name) : []
    found.push(...(matches.length > 0 ? matches : [name]))
  }
  return found
}

/**
 * Whether a path ends in `.` or `..`, or is the root. Such a folder has no name that could be part
 * of the URLs, so that its content is sent without one.
 */
function isItself(name: string): boolean {
  return /(?:^|[\\/])\.{1,2}[\\/]*$|^[\\/]+$/.test(name)
}

/** A folder to read. */
interface Folder {
  readonly folder: string
  /** Path of the folder below the URL, with a slash at its end; empty for the URL itself. */
  readonly prefix: string
  /** Whether an entry is read at all, by its path below the URL. */
  readonly isWanted: (target: string) => boolean
}

/**
 * Calls `onFile` with each regular file below a folder: with its own path, and with that below the
 * URL. An excluded folder is not read, because it may be large, and remarks about it would be
 * noise.
 */
async function listFolder(
  { folder, prefix, isWanted }: Folder,
  remarks: Remarks,
  onFile: (own: string, target: string) => void,
): Promise<void> {
  for (const entry of await readFolder(folder, remarks.failures)) {
    const name = path.join(folder, entry.name.toString())
    const target = prefix + entry.name.toString()
    if (!isWanted(target)) continue
    // Linux allows any bytes in a name. Node replaces those that are not UTF-8 when it decodes a
    // name, so that it could not open the file.
    if (!isUtf8(entry.name))
      remarks.failures.push({ name, message: 'the name is not valid UTF-8; rename the file' })
    else if (entry.isFile()) onFile(name, target)
    else if (entry.isDirectory()) {
      await listFolder({ folder: name, prefix: `${target}/`, isWanted }, remarks, onFile)
    } else remarks.skipped.push({ name, message: describeEntry(entry) })
  }
}

/**
 * Returns the entries of a folder in the order of their bytes, which is the same on every machine.
 * If the folder can't be read, adds a line to `failures`.
 */
async function readFolder(folder: string, failures: Remark[]): Promise<readonly Dirent<Buffer>[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true, encoding: 'buffer' })
    return entries.toSorted((a, b) => Buffer.compare(a.name, b.name))
  } catch (error) {
    failures.push({ name: folder, message: summarize(error) })
    return []
  }
}

/** Describes an entry that is neither a file nor a folder. */
function describeEntry(entry: Dirent<Buffer> | Stats): string {
  if (entry.isSymbolicLink()) return 'symbolic link'
  if (entry.isFIFO()) return 'named pipe'
  if (entry.isSocket()) return 'socket'
  return entry.isBlockDevice() || entry.isCharacterDevice() ? 'device' : 'not a regular file'
}

/** Returns `file` or `folder`, or the reason why the path is neither. Follows symbolic links. */
async function kindOf(name: string): Promise<string> {
  try {
    const stats = await stat(name)
    if (stats.isFile()) return 'file'
    if (stats.isDirectory()) return 'folder'
    return `this is a ${describeEntry(stats)}; to send its data, give - as FILE and redirect it to the standard input`
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return isMissing ? MISSING : summarize(error)
  }
}

/**
 * Returns the URL of a file below the URL of a folder. Each part of its path is percent-encoded.
 */
export function below(url: URL, file: string): string {
  const target = new URL(url)
  target.pathname += file.split('/').map(encodeURIComponent).join('/')
  return target.href
}

/** Throws if two files would have the same URL, where the second would replace the first. */
function checkDistinct(files: readonly FileToSend[]): void {
  const names = new Map<string, string>()
  for (const { name, url } of files) {
    const other = names.get(url)
    if (other !== undefined)
      throw new UsageError(`"${other}" and "${name}" would have the same URL ${url}`)
    names.set(url, name)
  }
}
