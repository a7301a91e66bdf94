/** Chooses files by the patterns of `--include` and `--exclude`. */
import { toSource } from './glob.ts'

/**
 * The patterns. A file is chosen if `include` is empty or one of its patterns matches, and no
 * pattern of `exclude` matches.
 */
export interface Filter {
  readonly include: readonly string[]
  readonly exclude: readonly string[]
}

/**
 * Whether a file is chosen. `file` is its path with slashes, as it will be in the URL. The order of
 * the options does not matter, unlike in `aws s3`, because users get that order wrong: an
 * `--exclude` always wins.
 */
export function isChosen({ include, exclude }: Filter, file: string): boolean {
  const matches = (pattern: string): boolean => matchesPath(pattern, file)
  return (include.length === 0 || include.some(matches)) && !exclude.some(matches)
}

/**
 * Whether a pattern matches a path. A pattern without a slash matches the name of the file or of
 * any folder above it, as in `.gitignore`: `node_modules` excludes the folder with all of its
 * files. A pattern with a slash matches the whole path, or a folder above the file.
 */
function matchesPath(pattern: string, file: string): boolean {
  const parts = file.split('/')
  const wanted = pattern.replace(/^\.?\/+|\/+$/g, '')
  if (!wanted.includes('/')) return parts.some((part) => toRegExp(wanted).test(part))
  const expression = toRegExp(wanted)
  return parts.some((_part, index) => expression.test(parts.slice(0, index + 1).join('/')))
}

/**
 * Converts a pattern. `**` matches any number of folders. Hidden files need no explicit dot, unlike
 * in the patterns of `put`, because a user who excludes `*.log` also means `.hidden.log`.
 */
function toRegExp(pattern: string): RegExp {
  const source = pattern
    .split('/')
    .map((segment, index, all) => {
      if (segment !== '**') return toSource(segment) + (index < all.length - 1 ? '/' : '')
      return index < all.length - 1 ? '(?:[^/]+/)*' : '.*'
    })
    .join('')
  return new RegExp(`^${source}$`, 'su')
}
