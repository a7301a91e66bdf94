/** Parses the command line. */
import { parseArgs } from 'node:util'

import { UsageError } from './exit-codes.ts'
import { COMMANDS, type CommandName } from './help.ts'

/** The resource of a command, and the options of its requests. */
export interface Target {
  /** Without user and password, which become the field `Authorization`. */
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** Number of retries after failures in a row. */
  readonly retries: number
  /** Use all retries even if no server has ever answered at the address. */
  readonly wait: boolean
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

/** Upload files. */
export interface PutCommand extends Target {
  readonly kind: 'put'
  /** Paths; `-` for the standard input. */
  readonly files: readonly string[]
  readonly concurrency: number
  readonly overwrite: boolean
  readonly contentType: string | undefined
}

/** Download a file. */
export interface GetCommand extends Target {
  readonly kind: 'get'
  readonly file: string
  readonly overwrite: boolean
}

/** Write into a resource. */
export interface PatchCommand extends Target {
  readonly kind: 'patch'
  /** A path; `-` for the standard input. */
  readonly file: string
  /** Position of the first byte. */
  readonly at: number
  readonly contentType: string | undefined
}

/** Remove resources. */
export interface RemoveCommand extends Target {
  readonly kind: 'rm'
  /** Those after the first one. */
  readonly more: readonly Target[]
}

/** Variables of the environment. */
export type Environment = Readonly<Record<string, string | undefined>>

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

const COMMON = ['header', 'retries', 'wait', 'quiet', 'help']

/** The options of each command besides the common ones. */
const TAKES: Readonly<Record<CommandName, readonly string[]>> = {
  put: ['concurrency', 'overwrite', 'content-type'],
  get: ['overwrite'],
  status: [],
  patch: ['at', 'content-type'],
  rm: [],
}

/** Fields that describe the content or a condition: a command sends its own. */
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
 * Parses the arguments. The variable `PARTIAL_UPLOAD_TOKEN` holds a secret that must not be among them,
 * because every user of a machine can read the arguments of a process.
 *
 * @throws UsageError
 */
export function parseCommand(args: readonly string[], environment: Environment = {}): Command {
  const { values, positionals } = parse(args)
  const [word, ...rest] = positionals
  const name = findCommand(word)
  if (values.help === true) return { kind: 'help', about: name ?? null }
  if (word === 'help') return { kind: 'help', about: findCommand(rest[0]) ?? null }
  // After a command, `-v` may be meant as "verbose", and must not suppress an upload.
  if (values.version === true && word === undefined) return { kind: 'version' }
  if (name === undefined) {
    throw new UsageError(word === undefined ? 'no command' : `there is no command "${word}"`)
  }
  const other = Object.keys(values).find((key) => ![...COMMON, ...TAKES[name]].includes(key))
  if (other !== undefined) throw new UsageError(`${name} takes no --${other}`)
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
      if (file === '') throw new UsageError('FILE is empty')
      return { kind: name, ...target(url), file, overwrite }
    }
    case 'patch': {
      const [url, file = ''] = expectWords(name, words, ['URL', 'FILE'])
      if (values.at === undefined) throw new UsageError('patch needs --at N')
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

// The return type is the one that parseArgs infers from OPTIONS.
// eslint-disable-next-line typescript/explicit-function-return-type
function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    // The further sentences are about arguments that begin with a dash.
    throw new UsageError(error.message.split(/\.\s/)[0] ?? '')
  }
}

type Values = ReturnType<typeof parse>['values']

function findCommand(word: string | undefined): CommandName | undefined {
  return COMMANDS.find((command) => command === word)
}

function expectWords(
  name: CommandName,
  words: readonly string[],
  wanted: readonly string[],
  optional: readonly string[] = [],
): readonly string[] {
  if (words.length < wanted.length) throw new UsageError(`${name} needs ${wanted.join(' and ')}`)
  const most = [...wanted, ...optional]
  if (words.length <= most.length) return words
  throw new UsageError(`${name} takes ${most.join(' and ')}, and not "${words[most.length]}"`)
}

function parseNumber(name: string, text: string, least: number): number {
  const value = /^[0-9]+$/.test(text) ? Number(text) : NaN
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new UsageError(`--${name} must be a whole number from ${least} on, not "${text}"`)
}

function readTarget(url: string | undefined, values: Values, environment: Environment): Target {
  return {
    ...parseTarget(url, values.header ?? [], environment['PARTIAL_UPLOAD_TOKEN'] ?? ''),
    retries: parseNumber('retries', values.retries ?? '20', 0),
    wait: values.wait ?? false,
    quiet: values.quiet ?? false,
  }
}

function parseTarget(
  text = '',
  fields: readonly string[],
  token: string,
): Pick<Target, 'url' | 'headers'> {
  if (!/^https?:/i.test(text) || !URL.canParse(text)) {
    throw new UsageError(`"${text}" is not an http or https URL`)
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

function setToken(headers: Headers, token: string): void {
  try {
    headers.set('Authorization', `Bearer ${token}`)
  } catch {
    throw new UsageError('PARTIAL_UPLOAD_TOKEN has characters that no field may have')
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new UsageError('user or password in the URL: a % must be written as %25')
  }
}

function parseHeaders(fields: readonly string[]): Headers {
  const headers = new Headers()
  for (const field of fields) {
    const colon = field.indexOf(':')
    // Its value may be a secret.
    if (colon < 0) throw new UsageError('-H needs "Name: value", and one field has no colon')
    const name = field.slice(0, colon)
    if (OWN_FIELDS.includes(name.toLowerCase())) {
      throw new UsageError(`-H ${name}: the command makes this field itself`)
    }
    try {
      headers.append(name, field.slice(colon + 1).trim())
    } catch {
      throw new UsageError(
        `-H needs "Name: value", and "${name}" is not a valid name, or its value is not`,
      )
    }
  }
  return headers
}
