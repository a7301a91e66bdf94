/**
 * Reports transfers in a terminal. Each running transfer has a line at the bottom, which is redrawn
 * in place with escape sequences.
 */
import type { Progress } from '../client/node.ts'

import { formatProgress } from './events.ts'
import { fitEnd, fitStart, printable, widthOf } from './format.ts'
import type { Output, Report, Task } from './report.ts'

/** Shortest time between two drawings, in milliseconds. */
const DRAW_INTERVAL = 100
/** Number of columns of the bar, without its brackets. */
const BAR_SIZE = 20
/** Number of columns for the name of a file. */
const NAME_SIZE = 28
/**
 * Least number of columns of a terminal with a bar. Without it the name takes a third of the line.
 */
const COLUMNS_FOR_BAR = 72

/** A terminal. Its size is read at each drawing, because the user can change it at any time. */
export interface Terminal extends Output {
  readonly columns?: number
  readonly rows?: number
}

/** The line of a running transfer. */
interface Line {
  /** The name of the file, without characters that could control the terminal. */
  readonly label: string
  /** Returns the text after the label, for a terminal of `columns` columns. */
  readonly text: (columns: number) => string
}

/** The lines at the bottom of the terminal. */
class Screen {
  readonly #out: Terminal
  readonly #lines = new Map<Task, Line>()
  /** The lines as they were drawn last, which the next drawing erases. */
  #drawn: readonly string[] = []
  #drawnAt = 0

  constructor(out: Terminal) {
    this.#out = out
  }

  /** Sets the line of a task, without drawing it. */
  set(task: Task, line: Line): void {
    this.#lines.set(task, line)
  }

  /** Removes the line of a task, without drawing. */
  remove(task: Task): void {
    this.#lines.delete(task)
  }

  /** Draws unless it has done so a moment ago, because progress is reported every 50 ms. */
  drawSometimes(): void {
    if (Date.now() - this.#drawnAt >= DRAW_INTERVAL) this.draw()
  }

  /**
   * Erases the drawn lines, writes `above` in their place, and draws the lines anew below it. One
   * write does all of it, because the terminal would otherwise flicker.
   */
  draw(above = ''): void {
    const { columns = 80, rows = 24 } = this.#out
    this.#drawnAt = Date.now()
    const erasure = eraseLines(this.#drawn, columns)
    this.#drawn = layOut([...this.#lines.values()], columns, rows)
    this.#out.write(`${erasure}${above}${this.#drawn.map((line) => `${line}\n`).join('')}`)
  }

  /** Prints a line above the drawn ones. */
  print(output: Output, text: string): void {
    const line = `${printable(text)}\n`
    if (output === this.#out) {
      this.draw(line)
      return
    }
    // Standard error usually is the same terminal. The lines are erased before the text is written
    // to it, and drawn again after that, because the report can't erase text that another stream
    // has written in between.
    const shown = [...this.#lines]
    this.#lines.clear()
    this.draw()
    output.write(line)
    for (const [task, shownLine] of shown) this.set(task, shownLine)
    this.draw()
  }
}

/**
 * Creates the report. Lines about finished transfers are printed above the running ones, and scroll
 * away.
 */
export function createLiveReport(out: Terminal, err: Output): Report {
  const screen = new Screen(out)
  return {
    begin: (name) => {
      const label = printable(name)
      const task: Task = {
        move: (progress) => {
          screen.set(task, { label, text: (columns) => formatBar(progress, columns) })
          screen.drawSometimes()
        },
        note: (text) => {
          screen.set(task, { label, text: () => printable(text) })
          screen.draw()
        },
        end: (text) => {
          screen.remove(task)
          if (text === null) screen.draw()
          else screen.print(out, `${name}: ${text}`)
        },
      }
      screen.set(task, { label, text: () => '' })
      return task
    },
    error: (text) => screen.print(err, text),
    print: (text) => screen.print(out, text),
  }
}

/**
 * Fits the lines into the terminal. A line must not wrap, and there must not be more lines than the
 * terminal has rows. The cursor could not be moved back to the first line otherwise, because it
 * can't leave the screen.
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

/**
 * Returns the escape sequences that move the cursor up to the first drawn line, and erase
 * everything from there on (CUU and ED of ECMA-48).
 */
function eraseLines(drawn: readonly string[], columns: number): string {
  // If the user has made the terminal narrower since the last drawing, it has wrapped the lines,
  // which then take several rows each.
  const rows = drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0)
  return rows === 0 ? '' : `\u001b[${rows}A\r\u001b[J`
}

/** Formats progress as a bar with text, or as text alone in a narrow terminal. */
function formatBar(progress: Progress, columns: number): string {
  const { sent, size } = progress
  const text = formatProgress(progress)
  if (columns < COLUMNS_FOR_BAR) return text
  const filled = size === null || size === 0 ? 0 : Math.floor((sent / size) * BAR_SIZE)
  const bar = '#'.repeat(Math.min(BAR_SIZE, Math.max(0, filled)))
  return `[${bar.padEnd(BAR_SIZE, '-')}] ${text}`
}
