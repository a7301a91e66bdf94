/** What is said of transfers, in plain lines for logs and scripts. */
import type { Progress } from '../client/node.ts'

import { formatSize, formatTime, printable } from './format.ts'

/** Least time between two plain lines about the same transfer, in milliseconds. */
const LINE_INTERVAL = 10_000

/** One transfer in the report. */
export interface Task {
  /** It has got so far. */
  move(progress: Progress): void
  /** Something that deserves a line where there are no live ones. */
  note(text: string): void
  /** It is over; the text says how, unless an error does. */
  end(text: string | null): void
}

/** Tells about transfers. Texts may hold anything: what could steer a terminal is replaced. */
export interface Report {
  begin(name: string): Task
  /** Prints a line to the standard error. */
  error(text: string): void
  /** Prints a line to the standard output. */
  print(text: string): void
}

/** Where a report goes. */
export interface Output {
  write(text: string): unknown
}

/** Plain lines, for pipes and files; with `isQuiet`, only what was asked for and errors. */
export function createPlainReport(out: Output, err: Output, isQuiet: boolean): Report {
  const print = (text: string): unknown => out.write(`${printable(text)}\n`)
  return {
    begin: (name) => {
      const tell = (text: string): void => {
        if (!isQuiet) print(`${name}: ${text}`)
      }
      let toldAt = Date.now()
      return {
        move: (progress) => {
          if (Date.now() - toldAt < LINE_INTERVAL) return
          toldAt = Date.now()
          tell(formatProgress(progress))
        },
        note: tell,
        end: (text) => {
          if (text !== null) tell(text)
        },
      }
    },
    error: (text) => err.write(`${printable(text)}\n`),
    print,
  }
}

/** `45% of 100 MB, 12 MB/s, 0:04 left`; what is not known is left out. */
export function formatProgress({ sent, size, rate }: Progress): string {
  const part = size === null || size === 0 ? null : Math.floor((sent / size) * 100)
  const left = size === null || rate === null || rate <= 0 ? null : (size - sent) / rate
  return [
    part === null ? formatSize(sent) : `${part}% of ${formatSize(size ?? 0)}`,
    ...(rate === null ? [] : [`${formatSize(Math.max(0, rate))}/s`]),
    ...(left === null ? [] : [`${formatTime(left)} left`]),
  ].join(', ')
}
