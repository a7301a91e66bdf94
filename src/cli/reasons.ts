/** The meaning of statuses and system errors for a person, and what to do about them. */
import { ClientError } from '../client/node.ts'

/** The meaning as a sentence without a full stop, and advice; null without advice. */
export interface Reason {
  readonly meaning: string
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

/** By HTTP status. */
const STATUSES: Readonly<Record<number, Reason>> = {
  400: reason('the server does not understand the request', CHECK_URL),
  401: reason('the server requires credentials', CREDENTIALS),
  403: reason('the server does not allow this', CHECK_ACCESS),
  404: reason('the server has nothing at this URL', CHECK_URL),
  405: reason('the server does not allow this at this URL', CHECK_URL),
  407: reason('a proxy requires credentials'),
  409: reason('the request conflicts with what the server has'),
  410: reason('the server has removed what was at this URL', CHECK_URL),
  411: reason('the server requires a length'),
  412: reason('the resource has changed meanwhile', 'run the same command again'),
  413: reason('the server does not accept that many bytes'),
  414: reason('the URL is too long for the server'),
  415: reason('the server does not accept this kind of upload', CHECK_URL),
  421: reason('the server is not responsible for this host', CHECK_URL),
  423: reason('another client is writing to this resource', LATER),
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

/** By the `code` of an error of Node, OpenSSL or the system. */
const CODES: Readonly<Record<string, Reason>> = {
  ECONNREFUSED: reason('no server listens there', 'check host and port of the URL'),
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
  EISDIR: reason('it is a folder'),
  ENOENT: reason('there is no such file'),
  ENOTDIR: reason('a part of its path is not a folder'),
  ENAMETOOLONG: reason('the name is too long'),
  ELOOP: reason('its path has too many symbolic links'),
  EMFILE: reason('too many files are open'),
  EIO: reason('the disk reported an error'),
}

/** `EDQUOT` (quota exceeded) on Linux, for which libuv has no name. */
const EDQUOT = -122

/** The meaning of an error; null if it is unknown. */
export function reasonFor(error: unknown): Reason | null {
  if (error instanceof ClientError && error.status !== null) {
    const found = STATUSES[error.status] ?? null
    return found !== null && isVerdict(error) && isAboutUrl(found) ? reason(found.meaning) : found
  }
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

/** Whether the server, or the app in it, accepts the URL and refuses this file. */
function isVerdict({ status, problem }: ClientError): boolean {
  const code = problem?.code ?? null
  // The problem document of an app has no code of this library.
  const isFromApp = status === 415 && problem !== null && code === null
  return isFromApp || code === 'ERR_REFUSED' || code === 'ERR_SIZE_LIMIT'
}

function isAboutUrl({ advice }: Reason): boolean {
  return advice === CHECK_URL || advice === CHECK_ACCESS
}

/** The error and its causes, the original one first. */
export function causesOf(error: unknown): readonly Error[] {
  if (!(error instanceof Error)) return []
  // A host with several addresses has an error for each, and the AggregateError has no message.
  const inner: unknown = error instanceof AggregateError ? error.errors.at(-1) : error.cause
  return [...causesOf(inner), error]
}
