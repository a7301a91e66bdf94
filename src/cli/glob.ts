/** Finds files by a pattern, for arguments that no shell has expanded. */
import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'

/** Whether a path contains a wildcard. */
export function isPattern(name: string): boolean {
  return /[*?]/.test(name)
}

/**
 * Returns the matching paths in alphabetical order. `*` matches a part of a name, `?` one
 * character, and `**` folders of any depth. As in a shell, hidden files match only a pattern that
 * begins with a dot. Unlike in a shell, a pattern with `**` matches only files: `put` sends the
 * content of a folder, so that a folder and the files in it would be sent twice.
 */
export async function glob(pattern: string): Promise<readonly string[]> {
  const { root } = path.parse(pattern)
  const segments = pattern.slice(root.length).split(/[\\/]+/)
  if (!segments.includes('**')) return expand(root, segments)
  const found = await expand(root, segments.at(-1) === '**' ? [...segments, '*'] : segments)
  const areFiles = await Promise.all(found.map(isFile))
  return found.filter((_name, index) => areFiles[index])
}

/** Returns the paths below a folder that match the segments of a pattern. */
async function expand(folder: string, segments: readonly string[]): Promise<readonly string[]> {
  const [segment, ...rest] = segments
  if (segment === undefined) return (await exists(folder)) ? [folder] : []
  if (!isPattern(segment)) return expand(path.join(folder, segment), rest)
  const isDeep = segment === '**'
  const found = isDeep ? [...(await expand(folder, rest))] : []
  const matcher = toRegExp(segment)
  for (const entry of await list(folder)) {
    if (!matcher.test(entry.name) || (isDeep && !entry.isDirectory())) continue
    found.push(...(await expand(path.join(folder, entry.name), isDeep ? segments : rest)))
  }
  return found
}

/** Returns the entries of a folder in the order of their names. */
async function list(folder: string): Promise<readonly Dirent[]> {
  // If the path is not a folder, or can't be read, nothing in it matches.
  const entries = await readdir(folder === '' ? '.' : folder, { withFileTypes: true }).catch(
    () => [],
  )
  return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

async function exists(name: string): Promise<boolean> {
  return (await stat(name).catch(() => null)) !== null
}

async function isFile(name: string): Promise<boolean> {
  return (await stat(name).catch(() => null))?.isFile() === true
}

/**
 * Converts a segment of a pattern. It matches the whole name, and a hidden one only after an
 * explicit dot.
 */
function toRegExp(segment: string): RegExp {
  return new RegExp(`^${segment.startsWith('.') ? '' : '(?!\\.)'}${toSource(segment)}$`, 'su')
}

/** Converts a segment to the source of a regular expression that does not match a slash. */
export function toSource(segment: string): string {
  return segment
    .replaceAll(/[\\^$.+()[\]{}|]/g, '\\$&')
    .replaceAll(/\*+/g, '[^/]*')
    .replaceAll('?', '[^/]')
}
