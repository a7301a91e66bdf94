/** Finds the files that `put` sends, and decides on their URLs. */
import type { Dirent, Stats } from 'node:fs'
import { isUtf8 } from 'node:buffer'
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'

import { summarize, UsageError } from './exit-codes.ts'
import { glob, isPattern } from './glob.ts'

const MISSING = 'there is no such file'

/** One file to send. */
export interface FileToSend {
  /** Name in the report, as the user has written it. */
  readonly name: string
  /** Path of the file; null for the standard input. */
  readonly path: string | null
  /** URL of the resource. */
  readonly url: string
}

/** The files to send, and lines for the user about those that are not sent. */
export interface Collection {
  readonly files: readonly FileToSend[]
  /** A line for each argument and each entry of a folder that is missing or can't be read. */
  readonly failures: readonly string[]
  /** A line for each entry of a folder that is neither a file nor a folder, which is not an error. */
  readonly skipped: readonly string[]
}

/** The lines of a `Collection` while it is built. */
interface Lines {
  readonly failures: string[]
  readonly skipped: string[]
}

/**
 * Finds the files that the arguments name, including those in folders at any depth. A symbolic link is
 * followed if it is an argument. Inside a folder it is not, because it may lead in a circle, or to
 * files that the user did not mean to publish.
 *
 * @throws UsageError if a folder or several files would go to a URL without a slash at its end, if the
 * standard input would go to one with a slash, and if two files would have the same URL.
 */
export async function collectFiles(names: readonly string[], url: URL): Promise<Collection> {
  const files: FileToSend[] = []
  const lines: Lines = { failures: [], skipped: [] }
  const isCollection = url.pathname.endsWith('/')
  for (const name of await expandPatterns(names)) {
    if (name === '-') {
      if (isCollection)
        throw new UsageError('the standard input has no name: add a file name to the URL')
      files.push({ name: 'standard input', path: null, url: url.href })
      continue
    }
    const kind = await kindOf(name)
    if (kind === 'folder' && !isCollection) {
      throw new UsageError(`"${name}" is a folder, and needs a URL that ends in a slash`)
    }
    if (kind === 'file') {
      const target = isCollection ? below(url, path.basename(name)) : url.href
      files.push({ name, path: name, url: target })
    } else if (kind === 'folder') {
      for (const file of await listFolder(name, lines)) {
        const target = path.join(isItself(name) ? '' : path.basename(name), file)
        files.push({
          name: path.join(name, file),
          path: path.join(name, file),
          url: below(url, target),
        })
      }
    } else lines.failures.push(`${name}: ${kind}`)
  }
  if (files.length > 1 && !isCollection) {
    throw new UsageError('several files need a URL that ends in a slash')
  }
  checkDistinct(files)
  return { files, ...lines }
}

/**
 * Expands patterns such as `*.jpg`. A shell has done so already, except on Windows and for arguments in
 * quotation marks.
 */
async function expandPatterns(names: readonly string[]): Promise<readonly string[]> {
  const found: string[] = []
  for (const name of names) {
    // A file may have a name that looks like a pattern, such as `what?.txt`. The file takes precedence.
    const matches = isPattern(name) && (await kindOf(name)) === MISSING ? await glob(name) : []
    found.push(...(matches.length > 0 ? matches : [name]))
  }
  return found
}

/**
 * Whether a path ends in `.` or `..`, or is the root. Such a folder has no name that could be part of
 * the URLs, so that its content is sent without one.
 */
function isItself(name: string): boolean {
  return /(?:^|[\\/])\.{1,2}[\\/]*$|^[\\/]+$/.test(name)
}

/** Returns the paths of all regular files below a folder, relative to the folder. */
async function listFolder(folder: string, lines: Lines): Promise<readonly string[]> {
  const found: string[] = []
  for (const entry of await readFolder(folder, lines.failures)) {
    // Linux allows any bytes in a name. Node replaces those that are not UTF-8 when it decodes a name,
    // so that it could not open the file.
    const name = path.join(folder, entry.name.toString())
    if (!isUtf8(entry.name))
      lines.failures.push(`${name}: the name is not valid UTF-8; rename the file`)
    else if (entry.isFile()) found.push(entry.name.toString())
    else if (entry.isDirectory()) {
      const more = await listFolder(name, lines)
      found.push(...more.map((file) => path.join(entry.name.toString(), file)))
    } else lines.skipped.push(`${name}: skipped (${describeEntry(entry)})`)
  }
  return found
}

/**
 * Returns the entries of a folder in the order of their bytes, which is the same on every machine. If
 * the folder can't be read, adds a line to `failures`.
 */
async function readFolder(folder: string, failures: string[]): Promise<readonly Dirent<Buffer>[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true, encoding: 'buffer' })
    return entries.toSorted((a, b) => Buffer.compare(a.name, b.name))
  } catch (error) {
    failures.push(`${folder}: ${summarize(error)}`)
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

/** Returns the URL of a file below the URL of a folder. Each part of its path is percent-encoded. */
function below(url: URL, file: string): string {
  const target = new URL(url)
  target.pathname += file.split(path.sep).map(encodeURIComponent).join('/')
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
