/** Reads the URL of a command, and the options of its requests. */
import { UsageError } from './exit-codes.ts'
import { parseNumber, type Values } from './option-table.ts'

/** The resource of a command, and the options of its requests. */
export interface Target {
  /** The URL without user and password, which become the field `Authorization`. */
  readonly url: URL
  /** The fields of every request, by name. */
  readonly headers: Readonly<Record<string, string>>
  /** Largest number of retries in a row without progress. */
  readonly retries: number
  /** Longest time in which no byte moves, in milliseconds; 0 for no limit. */
  readonly timeout: number
  /** Whether to use all retries even if no server has ever answered at the address. */
  readonly wait: boolean
  /** Whether to print one JSON object per line. */
  readonly json: boolean
  /** Whether to print the requests. */
  readonly verbose: boolean
  /** Whether to print errors only. */
  readonly quiet: boolean
}

/** The variables of the environment. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Fields that `-H` can't set, in lower case. They describe the content or a precondition, which
 * each command sets itself. Another value would break the protocol.
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

/** Whether a word is a URL that does not need the one of the environment. */
export function isUrl(word: string | undefined): boolean {
  return /^https?:/i.test(word ?? '')
}

/**
 * Reads the URL of a command, and the options of its requests. The token comes from the
 * environment, because every user of a machine can read the arguments of a process.
 *
 * @throws UsageError for a wrong URL, field or number.
 */
export function readTarget(
  word: string | undefined,
  values: Values,
  environment: Environment,
): Target {
  const base = readBase(environment)
  const url = readUrl(word, base)
  const headers = parseHeaders(values.header ?? [])
  // Read user and password, and then remove them, because they must not reach a message, a log or a
  // redirection.
  authorize(headers, url, base, environment['PARTIAL_UPLOAD_TOKEN'] ?? '')
  url.username = ''
  url.password = ''
  return {
    url,
    headers: Object.fromEntries(headers),
    retries: parseNumber('retries', values.retries ?? '20', 0),
    // Users think in seconds, and the timers of the client count milliseconds.
    timeout: parseNumber('timeout', values.timeout ?? '30', 0) * 1000,
    wait: values.wait ?? false,
    json: values.json ?? false,
    verbose: values.verbose ?? false,
    quiet: values.quiet ?? false,
  }
}

/** Returns the URL of the folder in `PARTIAL_UPLOAD_URL`; null if the variable is not set. */
export function readBase(environment: Environment): URL | null {
  const text = environment['PARTIAL_UPLOAD_URL'] ?? ''
  if (text === '') return null
  if (!isUrl(text) || !URL.canParse(text)) {
    throw new UsageError('PARTIAL_UPLOAD_URL is not a URL that begins with http:// or https://')
  }
  const base = new URL(text)
  // `new URL` and the paths of names need the slash. Users forget it, and nothing else could be
  // meant.
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  return base
}

/**
 * Parses a URL. Without a scheme it is the path of a file below the base, in the form in which `ls`
 * prints it, so that a `%` or `#` stands for itself.
 */
function readUrl(word: string | undefined, base: URL | null): URL {
  // A variable of a script that is empty by mistake must not become the folder itself, for example
  // in `rm "$NAME"`.
  if (word === '') throw new UsageError('the argument URL is empty')
  if (base !== null && !isUrl(word)) {
    const url = new URL(base)
    const parts = (word ?? '').split('/')
    // The URL parser would resolve these parts, and the request could leave the base.
    if (parts.some((part) => part === '.' || part === '..')) {
      throw new UsageError(`"${word}" has a part "." or ".."`)
    }
    url.pathname += parts.map(encodeURIComponent).join('/')
    return url
  }
  if (!isUrl(word) || !URL.canParse(word ?? '')) {
    throw new UsageError(`"${word ?? ''}" is not a URL that begins with http:// or https://`)
  }
  return new URL(word ?? '')
}

/**
 * Sets the field `Authorization`, unless `-H` has set it: to user and password in the URL, or else
 * to the token. If the environment also names the server, the token belongs to that server. A link
 * to another one, which the user may have been sent by a stranger, must not get it.
 */
function authorize(headers: Headers, url: URL, base: URL | null, token: string): void {
  if (headers.has('authorization')) return
  if (url.username !== '') {
    const words = [url.username, url.password].map(decode)
    headers.set('Authorization', `Basic ${Buffer.from(words.join(':')).toString('base64')}`)
    return
  }
  if (token === '' || (base !== null && base.origin !== url.origin)) return
  try {
    // A bearer token (RFC 6750 §2.1).
    headers.set('Authorization', `Bearer ${token}`)
  } catch {
    // The message does not contain the secret.
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
