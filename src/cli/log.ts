/** Prints the events of a command: as lines for a person, or as JSON for a script. */
import type { Progress } from '../client/node.ts'

import { wordsOf, type Event } from './events.ts'
import { escapeControls } from './format.ts'
import type { Output, Report } from './report.ts'

/** Shortest time between two events about the progress of the same transfer, in milliseconds. */
const PROGRESS_INTERVAL = 1000

/** The transfer of one file. */
export interface Transfer {
  /** Reports the progress. */
  move(progress: Progress): void
  /** Reports an event during the transfer, such as a retry. */
  add(event: Event): void
  /** Reports the result; null if the caller adds an error instead. */
  end(event: Event | null): void
}

/** Where a command reports its events. */
export interface Log {
  /** Begins the transfer of a file. */
  begin(name: string): Transfer
  /** Reports an event that does not belong to a running transfer. */
  add(event: Event): void
}

/**
 * Creates a log in words. Results that the user has asked for go to the standard output, also with
 * `isQuiet`. Errors, and remarks about skipped files, go to the standard error.
 */
export function createTextLog(report: Report, isQuiet: boolean): Log {
  return {
    begin: (name) => {
      const task = report.begin(name)
      return {
        move: (progress) => task.move(progress),
        add: (event) => task.note(wordsOf(event)),
        end: (event) => task.end(event === null ? null : wordsOf(event)),
      }
    },
    add: (event) => {
      // `status` has several lines. A report replaces line breaks inside a text, which could come
      // from a file name, so that each line is printed by itself.
      for (const { text, isError } of linesOf(event, isQuiet)) {
        if (isError) report.error(text)
        else report.print(text)
      }
    },
  }
}

/** Returns the lines for an event outside of a transfer. */
function linesOf(
  event: Event,
  isQuiet: boolean,
): readonly { readonly text: string; readonly isError: boolean }[] {
  const words = wordsOf(event)
  switch (event.event) {
    // Print nothing, because the prompt of the shell shows the end.
    case 'end':
      return []
    // Print the name of the program, because several programs may share one standard error.
    case 'error':
    case 'skipped': {
      const name = event.name === null ? '' : `${event.name}: `
      return [{ text: `partial-upload: ${name}${words}`, isError: true }]
    }
    // Print to the standard error, because a script reads the results from the standard output.
    case 'request':
    case 'response':
      return [{ text: words, isError: true }]
    case 'removed':
      return isQuiet ? [] : [{ text: `${event.url}: ${words}`, isError: false }]
    case 'plan':
      return [{ text: `${event.name}: ${words}`, isError: false }]
    case 'progress':
    case 'resume':
    case 'retry':
    case 'written':
    case 'complete':
    case 'status':
    case 'file':
      return words.split('\n').map((text) => ({ text, isError: false }))
  }
}

/**
 * Creates a log with one JSON object per line, all of them in `out`, because a script that reads
 * two streams can't know the order of their lines. The progress of a transfer is reported once
 * per second.
 */
export function createJsonLog(out: Output, isQuiet: boolean): Log {
  // JSON leaves some characters as they are that a terminal obeys, for example C1 controls.
  const add = (event: Event): unknown => out.write(`${escapeControls(JSON.stringify(event))}\n`)
  const addUnlessQuiet = (event: Event): void => {
    if (!isQuiet) add(event)
  }
  return {
    begin: (name) => {
      let reportedAt = Date.now()
      return {
        move: ({ sent, size, rate }) => {
          if (Date.now() - reportedAt < PROGRESS_INTERVAL) return
          reportedAt = Date.now()
          addUnlessQuiet({ event: 'progress', name, sent, size, rate })
        },
        add: addUnlessQuiet,
        end: (event) => {
          if (event !== null) addUnlessQuiet(event)
        },
      }
    },
    add: (event) => void add(event),
  }
}
