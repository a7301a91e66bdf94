/** What went wrong, in one line and in a number. */
import { ClientError } from '../client/node.ts'

/** Exit codes. */
export const DONE = 0
export const FAILED = 1
const WRONG_USAGE = 2
export const DIFFERENT = 3
export const INTERRUPTED = 130

/** The command line makes no sense. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** What is there may be another file, and is left alone. */
export class DifferentError extends Error {
  override readonly name = 'DifferentError'
}

/** The exit code for an error. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return WRONG_USAGE
  if (error instanceof DifferentError) return DIFFERENT
  const isRefusal =
    error instanceof ClientError && ['ERR_DIFFERENT', 'ERR_UNVERIFIED'].includes(error.code)
  return isRefusal ? DIFFERENT : FAILED
}

/** One line for a person: the server's own words if it has some. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (!(error instanceof ClientError)) return error.message
  const { code, message, status, problem } = error
  const words = [problem?.title, problem?.detail].filter((text) => typeof text === 'string')
  if (words.length > 0) return `${words.join(': ')} (${status})`
  if (['ERR_DIFFERENT', 'ERR_UNVERIFIED'].includes(code)) {
    return `${message}; --overwrite replaces it`
  }
  const reason = deepest(error.cause)
  return reason === '' ? message : `${message}: ${reason}`
}

/** The first cause of all says most: `connect ECONNREFUSED 127.0.0.1:3000`. */
function deepest(cause: unknown): string {
  if (!(cause instanceof Error)) return ''
  if (cause.cause instanceof Error) return deepest(cause.cause)
  // With several addresses to try, the text is empty, and there is an error for each.
  if (cause instanceof AggregateError) return deepest(cause.errors.at(-1))
  return cause.message
}
