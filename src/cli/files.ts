/** Which files go where. */
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'

import { UsageError } from './failure.ts'
import { glob, isPattern } from './glob.ts'

const MISSING = 'there is no such file'

/** One file to send. */
export interface FileToSend {
  /** What a person calls it. */
  readonly name: string
  /** Where it is; null for the standard input. */
  readonly path: string | null
  /** Where it goes. */
  readonly url: string
}

/** What there is to send, and what can't be. */
export interface Collection {
  readonly files: readonly FileToSend[]
  /** A line for each that is missing or no file. */
  readonly failures: readonly string[]
}

/**
 * Finds the files, and in folders all that are below them.
 *
 * @throws UsageError where the URL does not fit, or two files would go to the same one.
 */
export async function collectFiles(names: readonly string[], url: URL): Promise<Collection> {
  const files: FileToSend[] = []
  const failures: string[] = []
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
      for (const file of await listFolder(name, failures)) {
        const target = path.join(isItself(name) ? '' : path.basename(name), file)
        files.push({
          name: path.join(name, file),
          path: path.join(name, file),
          url: below(url, target),
        })
      }
    } else failures.push(`${name}: ${kind}`)
  }
  if (files.length > 1 && !isCollection) {
    throw new UsageError('several files need a URL that ends in a slash')
  }
  checkDistinct(files)
  return { files, failures }
}

/** Where a shell has not done it: on Windows, or for a pattern in quotation marks. */
async function expandPatterns(names: readonly string[]): Promise<readonly string[]> {
  const found: string[] = []
  for (const name of names) {
    // A name that is there is that file, whatever it is made of.
    const matches = isPattern(name) && (await kindOf(name)) === MISSING ? await glob(name) : []
    found.push(...(matches.length > 0 ? matches : [name]))
  }
  return found
}

/** `.` and `..` name no folder that could be made there: their content goes up. */
function isItself(name: string): boolean {
  return /(?:^|[\\/])\.{1,2}[\\/]*$|^[\\/]+$/.test(name)
}

/** The paths of all files below a folder, relative to it. */
async function listFolder(folder: string, failures: string[]): Promise<readonly string[]> {
  const found: string[] = []
  const entries = await readdir(folder, { withFileTypes: true })
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = path.join(folder, entry.name)
    if (entry.isDirectory()) {
      const more = await listFolder(name, failures)
      found.push(...more.map((file) => path.join(entry.name, file)))
      continue
    }
    const kind = await kindOf(name)
    if (kind === 'file') found.push(entry.name)
    // A link to a folder may lead in a circle.
    else
      failures.push(`${name}: ${kind === 'folder' ? 'a link to a folder is not followed' : kind}`)
  }
  return found
}

/** `file`, `folder`, or why it is neither. */
async function kindOf(name: string): Promise<string> {
  try {
    const stats = await stat(name)
    if (stats.isFile()) return 'file'
    return stats.isDirectory() ? 'folder' : 'not a regular file'
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return isMissing ? MISSING : 'the file can not be read'
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
