/** What a person at a terminal sees of transfers. */
import { createLogUpdate } from 'log-update'

import type { Progress } from '../client/node.ts'

import { printable } from './format.ts'
import { formatProgress, type Output, type Report, type Task } from './report.ts'

/** Least time between two drawings, in milliseconds. */
const DRAW_INTERVAL = 100
const BAR_SIZE = 20
const NAME_SIZE = 28

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

function formatBar({ sent, size }: Progress): string {
  const filled = size === null || size === 0 ? 0 : Math.floor((sent / size) * BAR_SIZE)
  return `[${'#'.repeat(filled)}${'-'.repeat(BAR_SIZE - filled)}]`
}

/** The end of a path tells more than its beginning. */
function shorten(name: string): string {
  return name.length <= NAME_SIZE ? name : `…${name.slice(1 - NAME_SIZE)}`
}
