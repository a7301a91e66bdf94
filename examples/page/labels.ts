/** The texts and the buttons of an upload, for each of its states. */
import { ClientError } from 'partial-upload/client'

import {
  describeConflict,
  describeError,
  isConflict,
  isLocked,
  isNameRefused,
  meaningOf,
} from './failure-words.ts'

import { formatDuration, formatLeft, formatPart, formatPercent, formatSize } from './format.ts'
import type { ItemState } from './item-state.ts'
import type { UploadItem } from './upload-item.ts'

/** Time without a moving byte after which the text says so, in milliseconds. */
const STILL = 3000

/** What a button does. */
export type Action =
  /** Stops sending. The server keeps the stored bytes. */
  | 'pause'
  | 'resume'
  /** Begins the next attempt at once. */
  | 'hurry'
  /** Ends the upload, after the question what to do with its stored part. */
  | 'cancel'
  /** Removes the stored part from the server, as the answer to that question. */
  | 'remove'
  /** Leaves the stored part on the server, so that the upload can be resumed another day. */
  | 'keep'
  /** Begins again after a failure, at the offset that the server reports. */
  | 'retry'
  /** Replaces the different file that the server has under the name. */
  | 'replace'
  /** Uploads under a free name. */
  | 'keep-both'
  /** Removes the row from the list, and changes nothing on the server. */
  | 'dismiss'

/** The colour of a state: neutral, waiting, needs attention, complete. */
export type Tone = 'calm' | 'wait' | 'bad' | 'good'

const LABELS: Readonly<Record<Action, string>> = {
  pause: 'Pause',
  resume: 'Resume',
  hurry: 'Try now',
  cancel: 'Cancel',
  remove: 'Remove',
  keep: 'Keep',
  retry: 'Try again',
  replace: 'Replace',
  'keep-both': 'Keep both',
  dismiss: 'Dismiss',
}

/** Returns the text of a button. Its accessible name also has the name of the file. */
export function labelOf(action: Action): string {
  return LABELS[action]
}

/**
 * Returns the buttons of a state, in their order. A double click hits the button that is in the same
 * place in the next state. The order makes sure that this button never loses data.
 */
export function actionsOf({ state, progress }: UploadItem): readonly Action[] {
  switch (state.kind) {
    case 'queued':
    case 'elsewhere':
    case 'running':
      return ['pause', 'cancel']
    case 'waiting':
      return ['pause', 'cancel', 'hurry']
    case 'paused':
      return ['resume', 'cancel']
    case 'stopped':
      // Remove is first, so that a double click on Cancel hits one of the other two.
      return ['remove', 'keep', 'resume']
    case 'clash':
      return ['replace', 'keep-both', 'dismiss']
    case 'failed':
      // Another attempt with the same name would fail again.
      if (isNameRefused(state.error)) return ['dismiss']
      return ['retry', progress.sent > 0 ? 'cancel' : 'dismiss']
    case 'done':
      return ['dismiss']
    case 'removing':
      return []
    default:
      return state satisfies never
  }
}

/** Returns the colour of a state. The text says the same, because some people can't see the colours. */
export function toneOf({ kind }: ItemState): Tone {
  if (kind === 'done') return 'good'
  if (kind === 'failed' || kind === 'clash') return 'bad'
  return kind === 'waiting' || kind === 'stopped' || kind === 'elsewhere' ? 'wait' : 'calm'
}

/** Returns the text about an upload, in one line. `now` is a time of `performance.now()`. */
export function describe(item: UploadItem, now: number): string {
  const { state, file } = item
  const size = formatSize(file.size)
  switch (state.kind) {
    case 'queued':
      return `Waiting for its turn · ${howFar(item)}`
    case 'elsewhere':
      return state.where === 'tab'
        ? 'Another tab is sending this file; this tab waits until it has finished'
        : 'Another file of this name is uploaded first'
    case 'running':
      return describeRunning(item, now)
    case 'waiting':
      return describeWait(state, item.key, now)
    case 'paused':
      return `Paused · ${howFar(item)}`
    case 'stopped':
      return `Stopped · ${howFar(item)} on the server. Keep this part to resume later?`
    case 'removing':
      return 'Removing the stored part from the server…'
    case 'clash':
      return describeClash(state)
    case 'failed':
      return isConflict(state.error)
        ? describeConflict(item.key, state.fileAbove)
        : describeError(state.error, item.key)
    case 'done':
      return describeDone(state, size)
    default:
      return state satisfies never
  }
}

/** Describes the progress of an upload, or the size of the file if nothing was sent. */
function howFar({ file, progress: { sent } }: UploadItem): string {
  if (sent === 0) return formatSize(file.size)
  return `${formatPercent(sent, file.size)} · ${formatPart(sent, file.size)}`
}

/**
 * Describes the progress, the rate and the remaining time; after some time without a byte, the stall.
 */
function describeRunning(item: UploadItem, now: number): string {
  const { file, progress, movedAt } = item
  const { sent, rate } = progress
  // The server may verify and publish a large file for some seconds, in which no byte moves.
  if (sent >= file.size && sent > 0) return `Sent; the server is finishing · ${formatSize(sent)}`
  const still = now - movedAt
  if (still > STILL) {
    // The client waits longer than this before it gives up, so that the state is still `running`.
    const pause = navigator.onLine ? `no answer for ${formatDuration(still / 1000)}` : OFFLINE
    return `${howFar(item)} · ${pause}`
  }
  // Without a rate there is no estimate, and a rate of almost 0 gives one of many years.
  if (rate === null || rate < 1) return howFar(item)
  const left = formatLeft((file.size - sent) / rate)
  return `${howFar(item)} · ${formatSize(rate)}/s · ${left}`
}

/** Replaces the time without an answer, because the user may have to connect the device. */
const OFFLINE = 'waiting for the network'

/** Describes why the last attempt failed, and when the next one begins. */
function describeWait(
  { until, error }: ItemState & { kind: 'waiting' },
  key: string,
  now: number,
): string {
  if (until === null) return 'Waiting for the network; the upload then resumes by itself'
  const again = `next try in ${formatDuration((until - now) / 1000)}`
  // The order is from the most specific reason to the most general one.
  if (isLocked(error)) return `Another client is sending this file; ${again}`
  if (error instanceof ClientError && error.status !== null)
    return `${meaningOf(error, key)}; ${again}`
  if (error instanceof ClientError && error.code === 'ERR_STALL') {
    return `The connection stalled; ${again}`
  }
  return `The connection is broken; ${again}`
}

/** Describes the file that the server has under the same name. */
function describeClash({ there, isUnverified }: ItemState & { kind: 'clash' }): string {
  // The two may be the same file, so that the text must not say that they differ.
  if (isUnverified) {
    return 'The server has a file of this name, and does not let the page compare the two'
  }
  if (there === null) return 'The server has a different file of this name'
  const size = formatSize(there.size)
  if (there.complete) return `The server has a different file of this name, of ${size}`
  const part = there.length === null ? size : formatPart(there.size, there.length)
  return `The server has a part of a different file of this name, ${part}`
}

/** Describes a complete upload, and whether this page has sent it. */
function describeDone({ by }: ItemState & { kind: 'done' }, size: string): string {
  if (by === 'another') return `Complete · ${size} · finished by another upload`
  if (by === 'earlier') return `The server already has this file · ${size}`
  return `Complete · ${size}`
}
