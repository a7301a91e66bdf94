/** Parses the command line. */
import { UsageError } from './exit-codes.ts'
import type { Filter } from './filter.ts'
import { COMMANDS, type CommandName } from './help.ts'
import { optionsOf, parseNumber, parseSize, splitArguments, type Values } from './option-table.ts'
import { isUrl, readBase, readTarget, type Environment, type Target } from './target-options.ts'

/** A parsed command line. */
export type Command =
  | { readonly kind: 'help'; readonly about: CommandName | null }
  | { readonly kind: 'version' }
  | { readonly kind: 'completion' }
  | RemoteCommand

/** A command that sends requests. */
export type RemoteCommand =
  | PutCommand
  | GetCommand
  | ListCommand
  | PatchCommand
  | (Target & { readonly kind: 'status' })
  | RemoveCommand

/** The command `put`, which uploads files. */
export interface PutCommand extends Target, Filter {
  readonly kind: 'put'
  /** Paths and patterns of files and folders; `-` for the standard input. */
  readonly files: readonly string[]
  /** Number of files that are uploaded at the same time, at least 1. */
  readonly concurrency: number
  /** Whether to replace a different file on the server. */
  readonly overwrite: boolean
  /** Whether to compare the digest of each file with that of the server after the upload. */
  readonly checksum: boolean
  /** Whether to send nothing, and print what would be done. */
  readonly dryRun: boolean
  /** Largest number of bytes per second, of all transfers together; null for no limit. */
  readonly rate: number | null
  readonly contentType: string | undefined
}

/** The command `get`, which downloads a file, or with `recursive` those of a folder. */
export interface GetCommand extends Target, Filter, Listed {
  readonly kind: 'get'
  /** Path of the file or of its folder; `-` for the standard output. */
  readonly file: string
  readonly recursive: boolean
  /** Number of files that are downloaded at the same time, at least 1. */
  readonly concurrency: number
  /** Whether to replace a local file. */
  readonly overwrite: boolean
  /** Whether to write nothing, and print what would be done. */
  readonly dryRun: boolean
  /** Largest number of bytes per second, of all transfers together; null for no limit. */
  readonly rate: number | null
}

/** The command `ls`, which lists files. */
export interface ListCommand extends Target, Filter, Listed {
  readonly kind: 'ls'
}

/** Where the list of the files is. */
export interface Listed {
  /** URL of the folder to whose files the names in the list belong. */
  readonly base: URL
  /** URL of the list. */
  readonly list: URL
}

/** The command `patch`, which writes bytes into a resource. */
export interface PatchCommand extends Target {
  readonly kind: 'patch'
  /** Path of the file that holds the bytes; `-` for the standard input. */
  readonly file: string
  /** Position of the first byte in the resource, counted from 0. */
  readonly at: number
  readonly contentType: string | undefined
}

/** The command `rm`, which removes resources. */
export interface RemoveCommand extends Target {
  readonly kind: 'rm'
  /** The resources after the first one. */
  readonly more: readonly Target[]
  /** Whether to remove nothing, and print what would be done. */
  readonly dryRun: boolean
}

/**
 * Least rate that can be asked for, in bytes per second. The server's default `minRate` is 100.
 * Below it the server would end every request.
 */
const LEAST_RATE = 1024

/**
 * Parses the arguments, without the names of the program and its script.
 *
 * @throws UsageError for a wrong command line. Its message is a line for the user.
 */
export function parseCommand(args: readonly string[], environment: Environment = {}): Command {
  const { values, positionals } = splitArguments(args)
  const [word, ...rest] = positionals
  const name = findCommand(word)
  if (values.help === true) return { kind: 'help', about: name ?? null }
  if (word === 'help') return { kind: 'help', about: findCommand(rest[0]) ?? null }
  // `-v` alone prints the version, as in many programs. After a command it means `--verbose`.
  const isVersion = values.version === true || values.verbose === true
  if (isVersion && word === undefined) return { kind: 'version' }
  if (name === undefined) {
    throw new UsageError(
      word === undefined ? 'expected a command' : `there is no command "${word}"`,
    )
  }
  // An option of another command would be ignored silently, and the user would rely on it.
  const other = Object.keys(values).find((key) => !optionsOf(name).includes(key))
  if (other !== undefined) throw new UsageError(`${name} has no option --${other}`)
  if (name === 'completion') return readCompletion(rest)
  return readCommand(name, rest, values, environment)
}

/** Reads the words after the name of a command that sends requests. */
function readCommand(
  name: Exclude<CommandName, 'completion'>,
  words: readonly string[],
  values: Values,
  environment: Environment,
): RemoteCommand {
  const target = (url: string | undefined): Target => readTarget(url, values, environment)
  const hasBase = readBase(environment) !== null
  switch (name) {
    case 'put':
      return readPut(words, values, target, hasBase)
    case 'get':
      return readGet(words, values, target, environment)
    case 'ls':
      return readLs(words, values, target, environment)
    case 'patch': {
      // A default position would overwrite the beginning of a file if the user has forgotten the
      // option.
      const [url, file = ''] = expectWords(name, words, ['URL', 'FILE'])
      if (values.at === undefined)
        throw new UsageError('patch needs --at N, the position of the first byte')
      const at = parseNumber('at', values.at, 0)
      return { kind: name, ...target(url), file, at, contentType: values['content-type'] }
    }
    case 'status': {
      const [url] = expectWords(name, words, ['URL'])
      return { kind: name, ...target(url) }
    }
    case 'rm': {
      const [url, ...others] = words
      if (url === undefined) throw new UsageError('rm needs URL...')
      const dryRun = values['dry-run'] ?? false
      return { kind: name, ...target(url), more: others.map(target), dryRun }
    }
  }
}

/**
 * Reads the words of `put`. If the environment has a URL, the last word is a URL only if it has a
 * scheme. It could otherwise be a file as well, and `put a b` would upload one file in place of
 * two.
 */
function readPut(
  words: readonly string[],
  values: Values,
  target: (url: string | undefined) => Target,
  hasBase: boolean,
): PutCommand {
  // An explicit URL always wins over the environment.
  const isToBase = hasBase && !isUrl(words.at(-1))
  const files = isToBase ? words : words.slice(0, -1)
  if (files.length === 0) throw new UsageError('put needs FILE... and URL')
  return {
    kind: 'put',
    ...target(isToBase ? undefined : words.at(-1)),
    ...readFilter(values),
    files,
    concurrency: parseNumber('concurrency', values.concurrency ?? '4', 1),
    overwrite: values.overwrite ?? false,
    checksum: values.checksum ?? false,
    dryRun: values['dry-run'] ?? false,
    rate: readRate(values),
    contentType: values['content-type'],
  }
}

/** Reads the words of `ls`. The folder of the environment needs no word. */
function readLs(
  words: readonly string[],
  values: Values,
  target: (url: string | undefined) => Target,
  environment: Environment,
): ListCommand {
  const isOptional = readBase(environment) !== null
  const [url] = expectWords('ls', words, isOptional ? [] : ['URL'], isOptional ? ['URL'] : [])
  const found = target(url)
  return { kind: 'ls', ...found, ...readFilter(values), ...readList(found, values, environment) }
}

/** Reads the words of `get`. */
function readGet(
  words: readonly string[],
  values: Values,
  target: (url: string | undefined) => Target,
  environment: Environment,
): GetCommand {
  const [url, file = '.'] = expectWords('get', words, ['URL'], ['FILE'])
  if (file === '') throw new UsageError('the argument FILE is empty')
  const recursive = values.recursive ?? false
  // These options choose among the files of a list. For a single file they would have no effect.
  const other = ['include', 'exclude', 'list', 'concurrency'].find((name) => name in values)
  if (!recursive && other !== undefined) throw new UsageError(`--${other} needs --recursive`)
  if (recursive && file === '-') throw new UsageError('--recursive needs a folder, not "-"')
  const found = target(url)
  return {
    kind: 'get',
    ...found,
    ...readFilter(values),
    ...readList(found, values, environment),
    file,
    recursive,
    concurrency: parseNumber('concurrency', values.concurrency ?? '4', 1),
    overwrite: values.overwrite ?? false,
    dryRun: values['dry-run'] ?? false,
    rate: readRate(values),
  }
}

/** Reads the word after `completion`. */
function readCompletion(words: readonly string[]): Command {
  const [shell] = expectWords('completion', words, ['bash'])
  if (shell !== 'bash') throw new UsageError(`there is a completion for bash, not for "${shell}"`)
  return { kind: 'completion' }
}

/** Reads the patterns of the files to transfer. */
function readFilter({ include = [], exclude = [] }: Values): Filter {
  // An empty pattern matches nothing, and comes from an empty variable of a script.
  const empty = [...include, ...exclude].includes('')
  if (empty) throw new UsageError('--include and --exclude need a pattern')
  return { include, exclude }
}

/** Reads `--limit-rate`; null if it is not given. */
function readRate(values: Values): number | null {
  const text = values['limit-rate']
  return text === undefined ? null : parseSize('limit-rate', text, LEAST_RATE)
}

/**
 * Finds the list of the files. The middleware has no route for it, because each app decides which
 * files a user may see. The examples of this package have it beside the files: `/list` for
 * `/files/`.
 */
function readList({ url }: Target, values: Values, environment: Environment): Listed {
  const base = readBase(environment)
  // The URL of a target has no user and password any more, so that those of the base are ignored
  // too.
  const isBelow = base !== null && url.href.startsWith(base.href.replace(/\/\/[^/]*@/, '//'))
  const folder = new URL(isBelow ? base : url)
  // `ls` and `get -r` mean a folder, also without a slash at the end.
  if (!folder.pathname.endsWith('/')) folder.pathname += '/'
  for (const part of ['username', 'password', 'search', 'hash'] as const) folder[part] = ''
  // The list belongs to the folder of all files. That of `/files/` is at `/list`, as in the
  // examples.
  const text = values.list ?? '../list'
  if (!URL.canParse(text, folder.href)) throw new UsageError(`--list "${text}" is not a URL`)
  return { base: folder, list: new URL(text, folder) }
}

/** Returns the command of this name, if there is one. */
function findCommand(word: string | undefined): CommandName | undefined {
  return COMMANDS.find((command) => command === word)
}

/** Checks the number of words after a command, and returns them. */
function expectWords(
  name: CommandName,
  words: readonly string[],
  wanted: readonly string[],
  optional: readonly string[] = [],
): readonly string[] {
  if (words.length < wanted.length) throw new UsageError(`${name} needs ${wanted.join(' and ')}`)
  const most = [...wanted, ...optional]
  if (words.length <= most.length) return words
  throw new UsageError(
    `unexpected argument "${words[most.length]}"; ${name} takes ${most.join(' and ')}`,
  )
}
