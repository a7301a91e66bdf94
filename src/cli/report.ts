/** Reports transfers in plain lines, for logs, pipes and scripts. */
import type { Progress } from '../client/node.ts'

import { formatProgress } from './events.ts'
import { printable } from './format.ts'

/** Shortest time between two lines about the progress of the same transfer, in milliseconds. */
const LINE_INTERVAL = 10_000

/** One transfer in the report. */
export interface Task {
  /** Reports the progress. */
  move(progress: Progress): void
  /** Reports an event, such as a retry. */
  note(text: string): void
  /**
   * Reports the result of the transfer, such as `complete`; null if the caller reports an error
   * instead.
   */
  end(text: string | null): void
}

/**
 * Prints lines for the user. In all texts it replaces characters that could control the terminal.
 */
export interface Report {
  /** Begins to report a transfer. `name` is the file, as the user has written it. */
  begin(name: string): Task
  /** Prints a line to the standard error. */
  error(text: string): void
  /** Prints a line to the standard output. */
  print(text: string): void
}

/** The part of a stream that a report uses. */
export interface Output {
  write(text: string): unknown
}

/**
 * Creates a report in plain lines. With `isQuiet` it prints no lines about transfers, but still
 * prints errors.
 */
export function createPlainReport(out: Output, err: Output, isQuiet: boolean): Report {
  const print = (text: string): unknown => out.write(`${printable(text)}\n`)
  return {
    begin: (name) => {
      const note = (text: string): void => {
        if (!isQuiet) print(`${name}: ${text}`)
      }
      let notedAt = Date.now()
      return {
        move: (progress) => {
          if (Date.now() - notedAt < LINE_INTERVAL) return
          notedAt = Date.now()
          note(formatProgress(progress))
        },
        note,
        end: (text) => {
          if (text !== null) note(text)
        },
      }
    },
    error: (text) => err.write(`${printable(text)}\n`),
    print,
  }
}
