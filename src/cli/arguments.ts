/** Parses the command line. */
import { parseArgs } from 'node:util'

import { UsageError } from './exit-codes.ts'
import { COMMANDS, type CommandName } from './help.ts'

/** The resource of a command, and the options of its requests. */
export interface Target {
  /** The URL without user and password, which become the field `Authorization`. */
  readonly url: URL
  /** The fields of every request, by name. */
  readonly headers: Readonly<Record<string, string>>
  /** Largest number of retries in a row without progress. */
  readonly retries: number
  /** Whether to use all retries even if no server has ever answered at the address. */
  readonly wait: boolean
  /** Whether to print errors only. */
  readonly quiet: boolean
}

/** A parsed command line. */
export type Command =
  | { readonly kind: 'help'; readonly about: CommandName | null }
  | { readonly kind: 'version' }
  | PutCommand
  | GetCommand
  | PatchCommand
  | (Target & { readonly kind: 'status' })
  | RemoveCommand

/** The command `put`, which uploads files. */
export interface PutCommand extends Target {
  readonly kind: 'put'
  /** Paths and patterns of files and folders; `-` for the standard input. */
  readonly files: readonly string[]
  /** Number of files that are uploaded at the same time, at least 1. */
  readonly concurrency: number
  /** Whether to replace a different file on the server. */
  readonly overwrite: boolean
  readonly contentType: string | undefined
}

/** The command `get`, which downloads a file. */
export interface GetCommand extends Target {
  readonly kind: 'get'
  /** Path of the file or of its folder; `-` for the standard output. */
  readonly file: string
  /** Whether to replace a local file. */
  readonly overwrite: boolean
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
}

/** The variables of the environment. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The options of all commands, in the form of `parseArgs`. `TAKES` assigns them to commands. */
const OPTIONS = {
  header: { type: 'string', short: 'H', multiple: true },
  retries: { type: 'string' },
  wait: { type: 'boolean' },
  quiet: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
  concurrency: { type: 'string' },
  overwrite: { type: 'boolean' },
  'content-type': { type: 'string' },
  at: { type: 'string' },
} as const

/** The options that every command has. */
const COMMON = ['header', 'retries', 'wait', 'quiet', 'help']

/** The further options of each command. */
const TAKES: Readonly<Record<CommandName, readonly string[]>> = {
  put: ['concurrency', 'overwrite', 'content-type'],
  get: ['overwrite'],
  status: [],
  patch: ['at', 'content-type'],
  rm: [],
}

/**
 * Fields that `-H` can't set, in lower case. They describe the content or a precondition, which each
 * command sets itself. Another value would break the protocol.
 */
const OWN_FIELDS = [
  'content-length',
  'content-range',
  'content-type',
  'expect',
  'if-match',
  'if-none-match',
  'if-range',
  'prefer',
  'range',
  'transfer-encoding',
]

/**
 * Parses the arguments, without the names of the program and its script. A secret token comes from the
 * variable `PARTIAL_UPLOAD_TOKEN` of the environment, because every user of a machine can read the
 * arguments of a process.
 *
 * @throws UsageError for a wrong command line. Its message is a line for the user.
 */
export function parseCommand(args: readonly string[], environment: Environment = {}): Command {
  const { values, positionals } = parse(args)
  const [word, ...rest] = positionals
  const name = findCommand(word)
  if (values.help === true) return { kind: 'help', about: name ?? null }
  if (word === 'help') return { kind: 'help', about: findCommand(rest[0]) ?? null }
  // With a command the user may have meant "verbose" by `-v`. Printing the version in place of an
  // upload would look like a success to a script, so that it is refused below as an unknown option.
  if (values.version === true && word === undefined) return { kind: 'version' }
  if (name === undefined) {
    throw new UsageError(
      word === undefined ? 'expected a command' : `there is no command "${word}"`,
    )
  }
  const other = Object.keys(values).find((key) => ![...COMMON, ...TAKES[name]].includes(key))
  if (other !== undefined) throw new UsageError(`${name} has no option --${other}`)
  return readCommand(name, rest, values, environment)
}

/** Reads the words after the name of the command. */
function readCommand(
  name: CommandName,
  words: readonly string[],
  values: Values,
  environment: Environment,
): Command {
  const { overwrite = false, 'content-type': contentType } = values
  const target = (url: string | undefined): Target => readTarget(url, values, environment)
  switch (name) {
    case 'put': {
      const files = words.slice(0, -1)
      if (files.length === 0) throw new UsageError('put needs FILE... and URL')
      const concurrency = parseNumber('concurrency', values.concurrency ?? '4', 1)
      return { kind: name, ...target(words.at(-1)), files, concurrency, overwrite, contentType }
    }
    case 'get': {
      const [url, file = '.'] = expectWords(name, words, ['URL'], ['FILE'])
      if (file === '') throw new UsageError('the argument FILE is empty')
      return { kind: name, ...target(url), file, overwrite }
    }
    case 'patch': {
      const [url, file = ''] = expectWords(name, words, ['URL', 'FILE'])
      if (values.at === undefined)
        throw new UsageError('patch needs --at N, the position of the first byte')
      const at = parseNumber('at', values.at, 0)
      return { kind: name, ...target(url), file, at, contentType }
    }
    case 'status': {
      const [url] = expectWords(name, words, ['URL'])
      return { kind: name, ...target(url) }
    }
    case 'rm': {
      const [url, ...others] = words
      if (url === undefined) throw new UsageError('rm needs URL...')
      return { kind: name, ...target(url), more: others.map(target) }
    }
  }
}

/** Splits the arguments into options and words. */
// The return type is the one that parseArgs infers from OPTIONS.
// eslint-disable-next-line typescript/explicit-function-return-type
function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    // The messages of Node are clear. Only their first sentence is kept, because the others explain how
    // to pass arguments that begin with a dash.
    throw new UsageError(error.message.split(/\.\s/)[0] ?? '')
  }
}

/** The options of a command line, by name. */
type Values = ReturnType<typeof parse>['values']

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

/** Parses the value of an option that is a whole number of at least `least`. */
function parseNumber(name: string, text: string, least: number): number {
  const value = /^[0-9]+$/.test(text) ? Number(text) : NaN
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new UsageError(`--${name} must be a whole number, ${least} or more, not "${text}"`)
}

/** Reads the URL of a command, and the options of its requests. */
function readTarget(url: string | undefined, values: Values, environment: Environment): Target {
  return {
    ...parseTarget(url, values.header ?? [], environment['PARTIAL_UPLOAD_TOKEN'] ?? ''),
    retries: parseNumber('retries', values.retries ?? '20', 0),
    wait: values.wait ?? false,
    quiet: values.quiet ?? false,
  }
}

/**
 * Parses the URL and the fields of its requests. The field `Authorization` comes from `-H`, or else
 * from user and password in the URL, or else from the token.
 */
function parseTarget(
  text = '',
  fields: readonly string[],
  token: string,
): Pick<Target, 'url' | 'headers'> {
  if (!/^https?:/i.test(text) || !URL.canParse(text)) {
    throw new UsageError(`"${text}" is not a URL that begins with http:// or https://`)
  }
  const url = new URL(text)
  const headers = parseHeaders(fields)
  if (url.username !== '' && !headers.has('authorization')) {
    const words = [url.username, url.password].map(decode)
    headers.set('Authorization', `Basic ${Buffer.from(words.join(':')).toString('base64')}`)
  }
  if (token !== '' && !headers.has('authorization')) setToken(headers, token)
  url.username = ''
  url.password = ''
  return { url, headers: Object.fromEntries(headers) }
}

/** Sets `Authorization` to a bearer token (RFC 6750 §2.1). The message does not contain the secret. */
function setToken(headers: Headers, token: string): void {
  try {
    headers.set('Authorization', `Bearer ${token}`)
  } catch {
    throw new UsageError(
      'PARTIAL_UPLOAD_TOKEN contains characters that a header field can not have',
    )
  }
}

/** Decodes user or password, which are percent-encoded in a URL. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new UsageError('user or password in the URL: a % must be written as %25')
  }
}

/** Parses the values of `-H`. A field that is given several times has all of its values. */
function parseHeaders(fields: readonly string[]): Headers {
  const headers = new Headers()
  for (const field of fields) {
    const colon = field.indexOf(':')
    // The message does not repeat the field, because it may contain a secret.
    if (colon < 0) throw new UsageError('-H needs "Name: value", and one field has no colon')
    const name = field.slice(0, colon)
    if (OWN_FIELDS.includes(name.toLowerCase())) {
      throw new UsageError(`-H ${name}: the command sets this field itself, so leave it out`)
    }
    try {
      headers.append(name, field.slice(colon + 1).trim())
    } catch {
      throw new UsageError(
        `-H needs "Name: value", and the name "${name}" or its value has invalid characters`,
      )
    }
  }
  return headers
}
