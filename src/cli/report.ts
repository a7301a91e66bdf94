/** The report of transfers in plain lines, for logs and scripts. */
import type { Progress } from '../client/node.ts'

import { formatSize, formatTime, printable } from './format.ts'

/** Least time between two plain lines about the same transfer, in milliseconds. */
const LINE_INTERVAL = 10_000

/** One transfer in the report. */
export interface Task {
  /** Reports the progress. */
  move(progress: Progress): void
  /** Reports an event, such as a retry. */
  note(text: string): void
  /** Ends the transfer with its result; null if an error is reported instead. */
  end(text: string | null): void
}

/** Prints about transfers. Replaces characters in all texts that could control the terminal. */
export interface Report {
  begin(name: string): Task
  /** Prints a line to the standard error. */
  error(text: string): void
  /** Prints a line to the standard output. */
  print(text: string): void
}

/** A stream that a report is written to. */
export interface Output {
  write(text: string): unknown
}

/** Creates a report in plain lines. With `isQuiet` it prints nothing about transfers, but errors. */
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

/** Formats progress as `45% of 100 MB, 12 MB/s, 0:04 left`, without the parts that are unknown. */
export function formatProgress({ sent, size, rate }: Progress): string {
  const part = size === null || size === 0 ? null : Math.floor((sent / size) * 100)
  const left = size === null || rate === null || rate <= 0 ? null : (size - sent) / rate
  return [
    part === null ? formatSize(sent) : `${part}% of ${formatSize(size ?? 0)}`,
    ...(rate === null ? [] : [`${formatSize(Math.max(0, rate))}/s`]),
    ...(left === null ? [] : [`${formatTime(left)} left`]),
  ].join(', ')
}
