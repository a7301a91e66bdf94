/** Describes failures for the user of the page, and what to do about them. */
import { ClientError } from 'partial-upload/client'

import { formatSize } from './format.ts'

/** What happened, and what the user can do about it. Both are sentences without a full stop. */
type Words = readonly [meaning: string, advice?: string]

const LATER = 'Try again later'
const TOO_LARGE = 'The file is larger than the server accepts'
const SMALLER = 'Choose a smaller one'
const NO_SPACE: Words = ['The server has no space left', 'Ask its operator, or try again later']
const NO_UPLOADS: Words = ['The server does not accept uploads at this address']

/** The texts for HTTP statuses, for answers without a problem document. */
const STATUSES: Readonly<Record<number, Words>> = {
  401: ['The server requires you to sign in', 'Sign in, then try again'],
  403: ['The server does not allow you to store this file', 'Ask its operator for permission'],
  404: ['The upload address does not exist on the server', 'Ask its operator where to upload'],
  405: NO_UPLOADS,
  413: [TOO_LARGE, SMALLER],
  415: NO_UPLOADS,
  429: ['The server has received too many requests', LATER],
  500: ['The server failed', LATER],
  501: NO_UPLOADS,
  502: ['The server is not running', LATER],
  503: ['The server is overloaded or restarting'],
  504: ['The server does not answer', LATER],
  507: NO_SPACE,
}

/**
 * The texts for codes of this library whose detail is written for developers, such as `the resource
 * would have at least 5 bytes, and at most 3 are accepted`.
 */
const CODES: Readonly<Record<string, Words>> = {
  ERR_STORAGE_FULL: NO_SPACE,
  ERR_QUOTA: [
    'Your incomplete uploads already hold as much as the server accepts',
    'Finish or delete some of them, then try again',
  ],
  ERR_TOO_MANY_UPLOADS: [
    'The server has too many incomplete uploads of yours',
    'Finish or delete some of them, then try again',
  ],
}

/**
 * Matches characters that the server accepts in no name: a backslash, and characters without a shape.
 */
const UNNAMEABLE = /[\\\p{Cc}\p{Cs}]/u

/**
 * Describes what went wrong with the file `key`, and what to do about it, without the last full stop.
 */
export function describeError(error: unknown, key: string): string {
  return wordsFor(error, key).join('. ')
}

/** Describes what went wrong with the file `key`, without advice, as a sentence without a full stop. */
export function meaningOf(error: unknown, key: string): string {
  return wordsFor(error, key)[0]
}

/**
 * Describes a conflict between a file and a folder. Either a folder has the name of the file `key`, or
 * the file `fileAbove` has the name of one of its folders.
 */
export function describeConflict(key: string, fileAbove: string | null): string {
  return fileAbove === null
    ? `The server has a folder named ${key}. Rename this file or delete the folder`
    : `The server has a file named ${fileAbove}, so there can't be a folder ${fileAbove}. Rename the folder or delete the file`
}

/** Whether the server refuses the name of the file, so that another attempt would be useless. */
export function isNameRefused(error: unknown): boolean {
  return error instanceof ClientError && error.problem?.code === 'ERR_KEY'
}

/** Whether a folder has the name of the file, or a file has the name of one of its folders. */
export function isConflict(error: unknown): boolean {
  return error instanceof ClientError && error.problem?.code === 'ERR_KEY_CONFLICT'
}

/**
 * Returns the texts for an error. The detail that an app has written for this refusal is preferred,
 * because it is the most specific text. Without one the status is explained. The title of a problem
 * document comes last, because it often only names the status, such as `Forbidden`.
 */
function wordsFor(error: unknown, key: string): Words {
  if (isLocked(error)) return ['Another client is sending this file']
  if (!(error instanceof ClientError)) {
    return [sentence(error instanceof Error ? error.message : String(error))]
  }
  const { code, status, problem, message } = error
  if (isNameRefused(error)) return [describeName(key, problem?.detail ?? message)]
  if (problem?.code === 'ERR_SIZE_LIMIT') return describeLimit(Number(problem['limit']))
  const words = CODES[problem?.code ?? '']
  if (words !== undefined) return words
  if (problem?.detail !== undefined) return [problem.detail]
  if (code === 'ERR_NETWORK') return ['The server can not be reached']
  if (code === 'ERR_STALL') return ['The connection stalled']
  if (code === 'ERR_SOURCE') {
    return ['The file can not be read. It may have been changed, moved or deleted: choose it again']
  }
  return STATUSES[status ?? 0] ?? [sentence(problem?.title ?? message)]
}

/** Describes the largest size that the server accepts, in bytes. NaN if the server does not name it. */
function describeLimit(limit: number): Words {
  return [Number.isNaN(limit) ? TOO_LARGE : `${TOO_LARGE}, which is ${formatSize(limit)}`, SMALLER]
}

/** Describes why the server does not accept a name. An invisible character is shown by its number. */
function describeName(key: string, detail: string): string {
  const character = UNNAMEABLE.exec(key)?.[0]
  // The detail of the server begins with the meaning of its code and a colon. This sentence replaces
  // that part.
  if (character === undefined) {
    return `The server does not accept this name: ${detail.split(': ').at(-1)}`
  }
  const code = character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')
  const shown = character === '\\' ? character : `U+${code}`
  return `The name contains a character that the server does not accept (${shown})`
}

/** Whether another client is writing to the same resource, or has just changed it. */
export function isLocked(error: unknown): boolean {
  return (
    error instanceof ClientError && (error.status === 412 || error.problem?.code === 'ERR_LOCKED')
  )
}

/** Makes the first letter of a text a capital letter. */
function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
