/** What a failure means to a person at the page, and what to do about it. */
import { ClientError } from 'partial-upload/client'

/** By HTTP status, for answers without words of their own. */
const STATUSES: Readonly<Record<number, string>> = {
  401: 'The server requires you to sign in. Sign in, then try again',
  403: 'The server does not allow you to store this file',
  404: 'The server has no place for this file',
  405: 'The server does not accept uploads at this address',
  413: 'The file is larger than the server accepts',
  415: 'The server does not accept uploads at this address',
  429: 'The server has received too many requests. Try again later',
  500: 'The server failed. Try again later',
  501: 'The server does not accept uploads at this address',
  502: 'The server is not running. Try again later',
  503: 'The server is overloaded or restarting',
  504: 'The server does not answer. Try again later',
  507: 'The server has no space left. Ask its operator, or try again later',
}

const FOLDER =
  'On the server a folder has this name, or a file has that of its folder. Delete or rename one of them'

/** What went wrong, as a sentence without a full stop. */
export function describeError(error: unknown): string {
  if (isLocked(error)) return 'Another client is sending this file'
  if (!(error instanceof ClientError))
    return sentence(error instanceof Error ? error.message : String(error))
  const { code, status, problem, message } = error
  if (problem?.code === 'ERR_KEY_CONFLICT') return FOLDER
  if (problem?.code === 'ERR_KEY') {
    // The detail begins with the meaning of the code, which this sentence replaces.
    const reason = (problem.detail ?? message).split(': ').at(-1)
    return `The server takes no file of this name: ${reason}`
  }
  const words = problem?.detail ?? problem?.title
  if (typeof words === 'string') return words
  if (code === 'ERR_NETWORK') return 'The server is out of reach'
  if (code === 'ERR_STALL') return 'The connection stalled'
  if (code === 'ERR_SOURCE') {
    return 'The file can not be read. It may have been changed, moved or deleted: choose it again'
  }
  return STATUSES[status ?? 0] ?? sentence(message)
}

/** Whether another client is writing to the same resource. */
export function isLocked(error: unknown): boolean {
  return (
    error instanceof ClientError && (error.status === 412 || error.problem?.code === 'ERR_LOCKED')
  )
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
