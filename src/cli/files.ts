/** The files that `put` sends, and their URLs. */
import type { Dirent, Stats } from 'node:fs'
import { isUtf8 } from 'node:buffer'
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'

import { summarize, UsageError } from './exit-codes.ts'
import { glob, isPattern } from './glob.ts'

const MISSING = 'there is no such file'

/** One file to send. */
export interface FileToSend {
  /** Name in the report. */
  readonly name: string
  /** Path; null for the standard input. */
  readonly path: string | null
  /** URL on the server. */
  readonly url: string
}

/** The files to send, and lines about those that are not sent. */
export interface Collection {
  readonly files: readonly FileToSend[]
  /** A line for each name that is missing or can't be read. */
  readonly failures: readonly string[]
  /** A line for each entry of a folder that is neither a file nor a folder. */
  readonly skipped: readonly string[]
}

interface Lines {
  readonly failures: string[]
  readonly skipped: string[]
}

/**
 * Finds the files, including those in folders at any depth. A symbolic link is followed if it is an
 * argument, but not inside a folder, because it may lead in a circle or out of the folder.
 *
 * @throws UsageError if the URL does not suit the files, or two files would have the same URL.
 */
export async function collectFiles(names: readonly string[], url: URL): Promise<Collection> {
  const files: FileToSend[] = []
  const lines: Lines = { failures: [], skipped: [] }
  const isCollection = url.pathname.endsWith('/')
  for (const name of await expandPatterns(names)) {
    if (name === '-') {
      if (isCollection) throw new UsageError('the standard input has no name: put it into the URL')
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

/** Expands the patterns that no shell has expanded: on Windows, or in quotation marks. */
async function expandPatterns(names: readonly string[]): Promise<readonly string[]> {
  const found: string[] = []
  for (const name of names) {
    // A file whose name looks like a pattern is that file.
    const matches = isPattern(name) && (await kindOf(name)) === MISSING ? await glob(name) : []
    found.push(...(matches.length > 0 ? matches : [name]))
  }
  return found
}

/** Whether a path ends in `.`, `..` or `/`, which are not names: the content of such a folder is sent. */
function isItself(name: string): boolean {
  return /(?:^|[\\/])\.{1,2}[\\/]*$|^[\\/]+$/.test(name)
}

/** The paths of all regular files below a folder, relative to it. */
async function listFolder(folder: string, lines: Lines): Promise<readonly string[]> {
  const found: string[] = []
  for (const entry of await readFolder(folder, lines.failures)) {
    // Node replaces bytes that are not UTF-8, and would then not find the file.
    const name = path.join(folder, entry.name.toString())
    if (!isUtf8(entry.name)) lines.failures.push(`${name}: the name is not UTF-8; rename it`)
    else if (entry.isFile()) found.push(entry.name.toString())
    else if (entry.isDirectory()) {
      const more = await listFolder(name, lines)
      found.push(...more.map((file) => path.join(entry.name.toString(), file)))
    } else lines.skipped.push(`${name}: skipped (${describeEntry(entry)})`)
  }
  return found
}

async function readFolder(folder: string, failures: string[]): Promise<readonly Dirent<Buffer>[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true, encoding: 'buffer' })
    return entries.toSorted((a, b) => Buffer.compare(a.name, b.name))
  } catch (error) {
    failures.push(`${folder}: ${summarize(error)}`)
    return []
  }
}

/** The kind of an entry that is not sent. */
function describeEntry(entry: Dirent<Buffer> | Stats): string {
  if (entry.isSymbolicLink()) return 'symbolic link'
  if (entry.isFIFO()) return 'named pipe'
  if (entry.isSocket()) return 'socket'
  return entry.isBlockDevice() || entry.isCharacterDevice() ? 'device' : 'not a regular file'
}

/** `file`, `folder`, or the reason why it is neither. */
async function kindOf(name: string): Promise<string> {
  try {
    const stats = await stat(name)
    if (stats.isFile()) return 'file'
    if (stats.isDirectory()) return 'folder'
    return `this is a ${describeEntry(stats)}; to send what it yields, use - and the standard input`
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return isMissing ? MISSING : summarize(error)
  }
}

function below(url: URL, file: string): string {
  const target = new URL(url)
  target.pathname += file.split(path.sep).map(encodeURIComponent).join('/')
  return target.href
}

function checkDistinct(files: readonly FileToSend[]): void {
  const names = new Map<string, string>()
  for (const { name, url } of files) {
    const other = names.get(url)
    if (other !== undefined) throw new UsageError(`"${other}" and "${name}" would go to ${url}`)
    names.set(url, name)
  }
}
