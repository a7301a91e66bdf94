/**
 * Translates HTTP statuses and system errors for the user: what they mean, and what to do about
 * them. Codes such as `ECONNREFUSED` don't mean anything to many users, and many proxies send no
 * text with a status.
 */
import { ClientError } from '../client/node.ts'

/**
 * The meaning of a failure. Both texts are sentences without a capital letter and without a full
 * stop.
 */
export interface Reason {
  readonly meaning: string
  /** What the user can do; null if there is nothing that helps in general. */
  readonly advice: string | null
}

const CHECK_URL = 'check the URL'
const LATER = 'run the same command again later'
const CHECK_ACCESS = 'check the URL and your credentials'
const CREDENTIALS =
  "send valid credentials: a token in PARTIAL_UPLOAD_TOKEN, -H 'Authorization: ...', or NAME:PASSWORD@ in the URL"
const TRUST = 'if you trust it, name a file with its CA in NODE_EXTRA_CA_CERTS'

function reason(meaning: string, advice: string | null = null): Reason {
  return { meaning, advice }
}

/** The meaning of HTTP statuses (RFC 9110 §15, RFC 4918 §11, RFC 6585). */
const STATUSES: Readonly<Record<number, Reason>> = {
  400: reason('the server does not understand the request', CHECK_URL),
  401: reason('the server requires credentials', CREDENTIALS),
  403: reason('the server does not allow this', CHECK_ACCESS),
  404: reason('the server has nothing at this URL', CHECK_URL),
  405: reason('the server does not allow this at this URL', CHECK_URL),
  407: reason('a proxy requires credentials'),
  409: reason('the request conflicts with the file on the server'),
  410: reason('the server has removed the file at this URL', CHECK_URL),
  411: reason('the server requires the field Content-Length'),
  412: reason('another client has changed the file on the server', 'run the same command again'),
  413: reason('the server does not accept that many bytes'),
  414: reason('the URL is too long for the server'),
  415: reason('the server does not accept this kind of upload', CHECK_URL),
  421: reason('the server is not responsible for this host', CHECK_URL),
  423: reason('another client is writing to this file', LATER),
  428: reason('the server requires a condition that this command does not send'),
  429: reason('the server received too many requests', LATER),
  431: reason(
    'the server does not accept that many header bytes',
    'send fewer or shorter -H fields',
  ),
  500: reason('the server failed', LATER),
  501: reason('the server does not know this kind of request', CHECK_URL),
  502: reason('a proxy got no valid answer from the server', LATER),
  503: reason('the server is overloaded or restarting', LATER),
  504: reason('a proxy got no answer from the server in time', LATER),
  507: reason('the server has no space left', 'free space on the server, or ask its operator'),
  511: reason('the network requires a login', 'log in to the network with a browser'),
}

const UNTRUSTED = reason(
  "the server's certificate is not from an authority that Node trusts",
  TRUST,
)
const BROKEN = reason('the connection broke')
const NO_TLS = reason(
  'the server does not speak TLS on this port',
  'try http:// instead of https://',
)
const DISK_FULL = reason('the disk is full', 'free space and run the same command again')
const DENIED = reason('permission is denied')

/** The meaning of errors of Node, OpenSSL and the operating system, by their property `code`. */
const CODES: Readonly<Record<string, Reason>> = {
  ECONNREFUSED: reason('no server listens at this address', 'check host and port of the URL'),
  ECONNRESET: BROKEN,
  EPIPE: BROKEN,
  ENOTFOUND: reason('the host name is unknown', CHECK_URL),
  EAI_AGAIN: reason('the host name could not be looked up', 'check the network'),
  ETIMEDOUT: reason('the server does not answer', 'check the network and the URL'),
  EHOSTUNREACH: reason('the server is unreachable', 'check the network'),
  ENETUNREACH: reason('the network is unreachable', 'check the network'),
  CERT_HAS_EXPIRED: reason(
    "the server's certificate has expired",
    'ask the operator of the server',
  ),
  CERT_NOT_YET_VALID: reason("the server's certificate is not valid yet", 'check your clock'),
  ERR_TLS_CERT_ALTNAME_INVALID: reason("the server's certificate is for another host", CHECK_URL),
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
  EPROTO: NO_TLS,
  ENOSPC: DISK_FULL,
  EDQUOT: DISK_FULL,
  EACCES: DENIED,
  EPERM: DENIED,
  EROFS: reason('the file system is read-only'),
  EFBIG: reason('the file is larger than the system allows'),
  EISDIR: reason('this is a folder'),
  ENOENT: reason('there is no such file'),
  ENOTDIR: reason('a part of its path is not a folder'),
  ENAMETOOLONG: reason('the name is too long'),
  ELOOP: reason('its path has too many symbolic links'),
  EMFILE: reason('too many files are open'),
  EIO: reason('the disk reported an error'),
}

/**
 * The number of `EDQUOT` (disk quota exceeded) on Linux. libuv has no name for it, so that errors
 * of Node have the number in `errno` and no useful `code`.
 */
const EDQUOT = -122

/** Returns the meaning of an error; null if it is unknown. */
export function reasonFor(error: unknown): Reason | null {
  if (error instanceof ClientError && error.status !== null) {
    const found = STATUSES[error.status] ?? null
    // If the server refuses this file, the user should not search for a mistake in the URL.
    return found !== null && isVerdict(error) && isAboutUrl(found) ? reason(found.meaning) : found
  }
  // The original error comes first, because it is the most specific one.
  for (const cause of causesOf(error)) {
    if ('errno' in cause && cause.errno === EDQUOT) return DISK_FULL
    const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : ''
    const found = code.startsWith('HPE_')
      ? reason('the answer is not HTTP', 'check the port; a TLS server needs https://')
      : CODES[code]
    if (found !== undefined) return found
  }
  return null
}

/**
 * Whether the server accepts the URL and refuses this file, for example for its type or its size.
 */
function isVerdict({ status, problem }: ClientError): boolean {
  const code = problem?.code ?? null
  // A 415 of this library has a code, and means that the server does not support the kind of
  // upload. A problem document without a code comes from the app, which checks the types of files.
  const isFromApp = status === 415 && problem !== null && code === null
  return isFromApp || code === 'ERR_REFUSED' || code === 'ERR_SIZE_LIMIT'
}

/** Whether the advice is to check the URL. */
function isAboutUrl({ advice }: Reason): boolean {
  return advice === CHECK_URL || advice === CHECK_ACCESS
}

/** Returns the error and all of its causes, the original one first. */
export function causesOf(error: unknown): readonly Error[] {
  if (!(error instanceof Error)) return []
  // Node tries all addresses of a host, and then throws an AggregateError without a message of its
  // own, which has an error for each address.
  const inner: unknown = error instanceof AggregateError ? error.errors.at(-1) : error.cause
  return [...causesOf(inner), error]
}
