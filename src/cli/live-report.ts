/** The report of transfers in a terminal: a line for each, which is redrawn in place. */
import type { Progress } from '../client/node.ts'

import { fitEnd, fitStart, printable, widthOf } from './format.ts'
import { formatProgress, type Output, type Report, type Task } from './report.ts'

/** Least time between two drawings, in milliseconds. */
const DRAW_INTERVAL = 100
const BAR_SIZE = 20
const NAME_SIZE = 28
/** A terminal with fewer columns shows no bar, and the name takes a third of the line. */
const COLUMNS_FOR_BAR = 72

/** A terminal. A person may change its size at any time. */
export interface Terminal extends Output {
  readonly columns?: number
  readonly rows?: number
}

/** One running transfer. The label has no control characters. */
interface Line {
  readonly label: string
  /** The text after the label in a terminal of `columns` columns. */
  readonly text: (columns: number) => string
}

/** Draws a line for each running transfer. Lines about finished transfers scroll away above them. */
export function createLiveReport(out: Terminal, err: Output): Report {
  const lines = new Map<Task, Line>()
  let drawn: readonly string[] = []
  let drawnAt = 0

  /** Erases the drawn lines, writes `above` in their place, and draws the lines below it. */
  function draw(above = ''): void {
    const { columns = 80, rows = 24 } = out
    drawnAt = Date.now()
    const erasure = eraseLines(drawn, columns)
    drawn = layOut([...lines.values()], columns, rows)
    out.write(`${erasure}${above}${drawn.map((line) => `${line}\n`).join('')}`)
  }

  function print(output: Output, text: string): void {
    const line = `${printable(text)}\n`
    if (output === out) {
      draw(line)
      return
    }
    // Standard error usually is the same terminal, and its text must not be mixed with the lines.
    const shown = [...lines]
    lines.clear()
    draw()
    output.write(line)
    for (const [task, shownLine] of shown) lines.set(task, shownLine)
    draw()
  }

  return {
    begin: (name) => {
      const label = printable(name)
      const task: Task = {
        move: (progress) => {
          lines.set(task, { label, text: (columns) => formatBar(progress, columns) })
          if (Date.now() - drawnAt >= DRAW_INTERVAL) draw()
        },
        note: (text) => {
          lines.set(task, { label, text: () => printable(text) })
          draw()
        },
        end: (text) => {
          lines.delete(task)
          if (text === null) draw()
          else print(out, `${name}: ${text}`)
        },
      }
      lines.set(task, { label, text: () => '' })
      return task
    },
    error: (text) => print(err, text),
    print: (text) => print(out, text),
  }
}

/**
 * Fits the lines into the terminal: none wraps, and no more are shown than it has rows, because otherwise
 * the number of rows to erase would be unknown.
 */
function layOut(lines: readonly Line[], columns: number, rows: number): readonly string[] {
  const room = Math.max(1, rows - 1)
  const hidden = lines.length > room ? lines.length - room + 1 : 0
  const shown = hidden === 0 ? lines : lines.slice(0, room - 1)
  const nameSize = columns < COLUMNS_FOR_BAR ? Math.floor(columns / 3) : NAME_SIZE
  const texts = shown.map(({ label, text }) => {
    const name = fitEnd(label, nameSize)
    const padding = ' '.repeat(Math.max(0, nameSize - widthOf(name)))
    return fitStart(`${name}${padding} ${text(columns)}`, columns - 1)
  })
  return hidden === 0 ? texts : [...texts, fitStart(`and ${hidden} more`, columns - 1)]
}

/** Moves the cursor to the first drawn line and erases from there on (ECMA-48 CUU, ED). */
function eraseLines(drawn: readonly string[], columns: number): string {
  // The terminal may have become narrower since, and then has wrapped the lines.
  const rows = drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0)
  return rows === 0 ? '' : `\u001b[${rows}A\r\u001b[J`
}

function formatBar(progress: Progress, columns: number): string {
  const { sent, size } = progress
  const text = formatProgress(progress)
  if (columns < COLUMNS_FOR_BAR) return text
  const filled = size === null || size === 0 ? 0 : Math.floor((sent / size) * BAR_SIZE)
  const bar = '#'.repeat(Math.min(BAR_SIZE, Math.max(0, filled)))
  return `[${bar.padEnd(BAR_SIZE, '-')}] ${text}`
}
