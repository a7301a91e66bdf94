/** What a person or a log sees of transfers: live lines on a terminal, plain ones elsewhere. */
import { createLogUpdate } from 'log-update'

import type { Progress } from '../client/node.ts'

import { formatSize, formatTime, printable } from './format.ts'

/** Least time between two drawings, in milliseconds. */
const DRAW_INTERVAL = 100
/** Least time between two plain lines about the same transfer, in milliseconds. */
const LINE_INTERVAL = 10_000
const BAR_SIZE = 20
const NAME_SIZE = 28

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

/** A line per running transfer, drawn anew in place; what is over stays above. */
export function createLiveReport(out: NodeJS.WritableStream, err: Output): Report {
  const update = createLogUpdate(out)
  const lines = new Map<Task, string>()
  let drawnAt = 0

  function draw(): void {
    drawnAt = Date.now()
    if (lines.size > 0) update([...lines.values()].join('\n'))
    else finish()
  }

  /** Leaves the terminal as it was, its cursor included. */
  function finish(): void {
    update.clear()
    update.done()
  }

  function print(output: Output, text: string): void {
    update.clear()
    output.write(`${printable(text)}\n`)
    draw()
  }

  return {
    begin: (name) => {
      const label = printable(shorten(name)).padEnd(NAME_SIZE)
      const task: Task = {
        move: (progress) => {
          lines.set(task, `${label} ${formatBar(progress)} ${formatProgress(progress)}`)
          if (Date.now() - drawnAt >= DRAW_INTERVAL) draw()
        },
        note: (text) => {
          lines.set(task, `${label} ${printable(text)}`)
          draw()
        },
        end: (text) => {
          lines.delete(task)
          if (text === null) draw()
          else print(out, `${name}: ${text}`)
        },
      }
      lines.set(task, label)
      return task
    },
    error: (text) => print(err, text),
    print: (text) => print(out, text),
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

function formatBar({ sent, size }: Progress): string {
  const filled = size === null || size === 0 ? 0 : Math.floor((sent / size) * BAR_SIZE)
  return `[${'#'.repeat(filled)}${'-'.repeat(BAR_SIZE - filled)}]`
}

/** The end of a path tells more than its beginning. */
function shorten(name: string): string {
  return name.length <= NAME_SIZE ? name : `…${name.slice(1 - NAME_SIZE)}`
}
