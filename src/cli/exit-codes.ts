/** Describes the result of a command: by a line for the user, and by an exit code for scripts. */
import { ClientError } from '../client/node.ts'

import { causesOf, reasonFor } from './reasons.ts'

/**
 * Exit codes. With 1 another attempt can succeed. With 3 a file was left unchanged, because it can
 * be a different one. 130 is what shells report for a process that Ctrl-C has ended.
 */
export const DONE = 0
export const FAILED = 1
const WRONG_USAGE = 2
export const DIFFERENT = 3
export const INTERRUPTED = 130

/** The error for a command line that is not valid. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The error if a file already exists, may be a different one, and was not replaced. */
export class DifferentError extends Error {
  override readonly name = 'DifferentError'
}

/** Returns the exit code for an error. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return WRONG_USAGE
  return error instanceof DifferentError || isRefusal(error) ? DIFFERENT : FAILED
}

/**
 * Returns the exit code of a command from those of its files. A failure takes precedence over a
 * refusal, because a script may treat 3 as "nothing to do".
 */
export function worstOf(codes: readonly number[]): number {
  return [WRONG_USAGE, FAILED, DIFFERENT].find((code) => codes.includes(code)) ?? DONE
}

/** Whether an upload has found another file at the URL, or one that can't be compared. */
function isRefusal(error: unknown): boolean {
  return error instanceof ClientError && ['ERR_DIFFERENT', 'ERR_UNVERIFIED'].includes(error.code)
}

/**
 * Describes an error in one line for the user: what happened, and what to do about it. `remedy` is
 * the advice for a different file at the URL, if the command has an option for that.
 */
export function describe(error: unknown, remedy: string | null = null): string {
  const advice = isRefusal(error) ? remedy : reasonFor(error)?.advice
  return [summarize(error), ...(typeof advice === 'string' ? [advice] : [])].join('; ')
}

/**
 * Describes what happened, without advice. The text of the server is preferred, because it is the
 * most specific one. Otherwise the meaning of the status or of the system's error is used, with the
 * original text in parentheses.
 */
export function summarize(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const meaning = reasonFor(error)?.meaning
  if (!(error instanceof ClientError)) {
    return meaning === undefined ? error.message : `${meaning} (${error.message})`
  }
  const { code, message, status, problem } = error
  const words = problem?.detail ?? problem?.title
  if (typeof words === 'string') return `${words} (${status})`
  if (code === 'ERR_STALL') return 'the connection stalled: no data was transferred for too long'
  // Some messages describe a flaw of a successful answer, such as a web page in place of a file.
  // They have no status with a meaning in the table, and are clear by themselves.
  if (code === 'ERR_RESPONSE') {
    return meaning === undefined || status === null ? message : `${meaning} (${status})`
  }
  const [first] = causesOf(error.cause)
  if (first === undefined) return message
  const what = code === 'ERR_NETWORK' ? (meaning ?? 'the connection broke') : message
  return `${what} (${first.message})`
}
