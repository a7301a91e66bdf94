/**
 * The events of a command, as data. `--json` prints them as they are, and otherwise `wordsOf` puts
 * them into words, so that both forms always say the same.
 */
import type { Progress } from '../client/node.ts'

import { formatSize, formatTime } from './format.ts'

/** What a command has done or found. Sizes and positions are in bytes, times in seconds. */
export type Event = TransferEvent | FoundEvent | RequestEvent | ErrorEvent | EndEvent

/** An event of the transfer of one file. `name` is the local file, as the user has written it. */
export type TransferEvent =
  | (Progress & { readonly event: 'progress'; readonly name: string })
  | { readonly event: 'resume'; readonly name: string; readonly position: number }
  | {
      readonly event: 'retry'
      readonly name: string
      /** Null if the next attempt waits for a network. */
      readonly delay: number | null
      readonly message: string
    }
  | CompleteEvent
  | SkippedEvent
  | PlanEvent
  | {
      readonly event: 'written'
      readonly name: string
      readonly url: string
      readonly size: number
      readonly position: number
    }

/**
 * All bytes have arrived. For `put` this rests on the server's answer, and for `get` on the length
 * and, if the server has sent one, on the digest.
 */
export interface CompleteEvent {
  readonly event: 'complete'
  readonly command: 'put' | 'get'
  readonly name: string
  readonly url: string
  readonly size: number
  readonly seconds: number
  /** SHA-256 in hexadecimal, if it was compared with that of the server; otherwise null. */
  readonly sha256: string | null
}

/**
 * The file was not sent. The reason `same` is only given after all bytes or digests were compared.
 */
export interface SkippedEvent {
  readonly event: 'skipped'
  readonly name: string
  /** Null for a file that has no URL, because it is not a regular file. */
  readonly url: string | null
  readonly reason: string
}

/** What the command would do with a file without `--dry-run`. */
export interface PlanEvent {
  readonly event: 'plan'
  readonly name: string
  readonly url: string
  readonly action:
    'upload' | 'resume' | 'skip' | 'replace' | 'refuse' | 'download' | 'remove' | 'none'
  /** Size of the file; null if it is unknown. */
  readonly size: number | null
  /** Number of bytes that would not be transferred again. */
  readonly position: number
}

/** What the server has at a URL. */
export type FoundEvent =
  | {
      readonly event: 'status'
      readonly url: string
      readonly state: 'complete' | 'incomplete'
      readonly size: number
      readonly length: number | null
      readonly type: string | null
      readonly etag: string | null
    }
  | { readonly event: 'removed'; readonly url: string; readonly existed: boolean }
  | {
      readonly event: 'file'
      /**
       * Path below the base of the list, in the form that `get` and `rm` take; not percent-encoded.
       */
      readonly name: string
      readonly url: string
      readonly size: number
      /** Size of the finished file; null if it is unknown. */
      readonly length: number | null
      readonly complete: boolean
      /** Time of the last change in the format of ISO 8601; null if the server does not send it. */
      readonly modified: string | null
    }

/** A request or its answer, for `--verbose`. It has no fields, because they may contain secrets. */
export type RequestEvent =
  | { readonly event: 'request'; readonly method: string; readonly url: string }
  | {
      readonly event: 'response'
      readonly method: string
      readonly url: string
      readonly status: number
    }

/** A failure. Other files may still be transferred after it. */
export interface ErrorEvent {
  readonly event: 'error'
  /** The file or the URL that has failed; null if the whole command has. */
  readonly name: string | null
  readonly message: string
  readonly exitCode: number
}

/** The last event of every command that has begun. */
export interface EndEvent {
  readonly event: 'end'
  readonly exitCode: number
}

/**
 * Returns the words for an event, without the name of its file. The report adds the name, because a
 * terminal draws it in a column of its own.
 */
export function wordsOf(event: Event): string {
  switch (event.event) {
    case 'progress':
      return formatProgress(event)
    case 'resume':
      return `resuming at ${formatSize(event.position)}`
    case 'retry':
      return `trying again in ${Math.ceil(event.delay ?? 0)} s: ${event.message}`
    case 'complete':
      return complete(event)
    // A special file has no URL, because it was never going to be sent.
    case 'skipped':
      return `skipped (${event.reason})${event.url === null ? '' : `, at ${event.url}`}`
    case 'plan':
      return plan(event)
    case 'written':
      return `written, ${formatSize(event.size)} at position ${event.position}`
    case 'removed':
      return event.existed ? 'removed' : 'nothing to remove'
    case 'request':
      return `> ${event.method} ${event.url}`
    case 'response':
      return `< ${event.status} ${event.method} ${event.url}`
    case 'status':
      return status(event)
    case 'file':
      return fileLine(event)
    case 'error':
      return event.message
    case 'end':
      return `exit code ${event.exitCode}`
  }
}

/**
 * Formats progress as `45% of 100 MB, 12 MB/s, 0:04 left`. Parts that are not known yet are left
 * out.
 */
export function formatProgress({ sent, size, rate }: Progress): string {
  const part = size === null || size === 0 ? null : Math.floor((sent / size) * 100)
  const left = size === null || rate === null || rate <= 0 ? null : (size - sent) / rate
  return [
    part === null ? formatSize(sent) : `${part}% of ${formatSize(size ?? 0)}`,
    ...(rate === null ? [] : [`${formatSize(Math.max(0, rate))}/s`]),
    ...(left === null ? [] : [`${formatTime(left)} left`]),
  ].join(', ')
}

function complete({ command, url, size, seconds, sha256 }: CompleteEvent): string {
  const words = `complete, ${formatSize(size)} in ${formatTime(seconds)}`
  // The name of a download already is the local file. That of an upload does not show where it
  // went.
  if (command === 'get') return words
  return `${words}${sha256 === null ? '' : `, sha-256 ${sha256}`}, at ${url}`
}

function plan({ action, url, size, position }: PlanEvent): string {
  const what = size === null ? '' : `, ${formatSize(size)}`
  switch (action) {
    case 'upload':
      return `would be uploaded${what}, to ${url}`
    case 'resume':
      return `would be resumed at ${formatSize(position)}${what}, to ${url}`
    case 'skip':
      return `would be skipped (same), at ${url}`
    case 'replace':
      return `would replace a different file${what}, at ${url}`
    case 'refuse':
      return `would be refused, because the file at ${url} is different or can not be compared`
    case 'download':
      return `would be downloaded${what}, from ${url}`
    case 'remove':
      return `would be removed${what}`
    case 'none':
      return 'nothing to remove'
  }
}

function status({ state, size, length, type, etag }: FoundEvent & { event: 'status' }): string {
  const lines = { state, size, length, type, etag }
  return (
    Object.entries(lines)
      // A line without a value would look like an empty value.
      .filter(([, value]) => value !== null)
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n')
  )
}

/** Formats a line of `ls`: the time, the number of bytes and the name, as `aws s3 ls` does. */
function fileLine({
  name,
  size,
  length,
  complete,
  modified,
}: FoundEvent & { event: 'file' }): string {
  // Print bytes and not kilobytes, because files whose sizes differ by one byte are different
  // files.
  const time = (modified ?? '').slice(0, 19).replace('T', ' ').padEnd(19)
  const total = length === null ? '' : ` of ${length}`
  return `${time} ${String(size).padStart(12)} ${name}${complete ? '' : ` (incomplete${total})`}`
}
