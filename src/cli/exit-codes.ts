/** The result of a command: a line for a person, and an exit code for a script. */
import { ClientError } from '../client/node.ts'

import { causesOf, reasonFor } from './reasons.ts'

/** Exit codes. */
export const DONE = 0
export const FAILED = 1
const WRONG_USAGE = 2
export const DIFFERENT = 3
export const INTERRUPTED = 130

/** The command line is not valid. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The command left a file alone that exists and may be a different one. */
export class DifferentError extends Error {
  override readonly name = 'DifferentError'
}

/** The exit code for an error. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return WRONG_USAGE
  return error instanceof DifferentError || isRefusal(error) ? DIFFERENT : FAILED
}

function isRefusal(error: unknown): boolean {
  return error instanceof ClientError && ['ERR_DIFFERENT', 'ERR_UNVERIFIED'].includes(error.code)
}

/**
 * One line for a person: what happened, and what to do about it. `remedy` is what to do about a different
 * file, where the command has an answer to that.
 */
export function describe(error: unknown, remedy: string | null = null): string {
  const advice = isRefusal(error) ? remedy : reasonFor(error)?.advice
  return [summarize(error), ...(typeof advice === 'string' ? [advice] : [])].join('; ')
}

/** What happened, without advice: the words of the server, or else the meaning of its status. */
export function summarize(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const meaning = reasonFor(error)?.meaning
  if (!(error instanceof ClientError)) {
    return meaning === undefined ? error.message : `${meaning} (${error.message})`
  }
  const { code, message, status, problem } = error
  const words = problem?.detail ?? problem?.title
  if (typeof words === 'string') return `${words} (${status})`
  if (code === 'ERR_STALL') return 'no byte moved for too long'
  // Without a status the message is the client's own, such as "the file is not complete yet".
  if (code === 'ERR_RESPONSE') {
    return meaning === undefined || status === null ? message : `${meaning} (${status})`
  }
  const [first] = causesOf(error.cause)
  if (first === undefined) return message
  const what = code === 'ERR_NETWORK' ? (meaning ?? 'the connection broke') : message
  return `${what} (${first.message})`
}
