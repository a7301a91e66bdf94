/** Terminal sessions as a README shows them. */
import { expect } from 'vitest'

/** A command of a `console` block, and what the block shows after it. */
export interface Command {
  readonly command: string
  readonly answer: string
}

/** The commands of a `console` block, after `$` and continued after `>`, and what follows each. */
export function commands(screen: string): readonly Command[] {
  return screen
    .split(/^\$ /m)
    .slice(1)
    .map((step) => {
      const [first = '', ...rest] = step.trimEnd().split('\n')
      const continued = rest.filter((line) => line.startsWith('>')).map((line) => line.slice(1))
      const answer = rest.filter((line) => !line.startsWith('>'))
      return { command: [first, ...continued].join('\n'), answer: answer.join('\n') }
    })
}

/** The session with another offset than the shown one. */
export function at(offset: number, shown: string): string {
  if (offset === 0) return shown
  return shown
    .replaceAll('20971519', String(offset - 1))
    .replaceAll('20971520', String(offset))
    .replaceAll('20971521', String(offset + 1))
}

/** Expects the lines in this order, perhaps with others in between; `…` stands for any text. */
export function expectLines(output: string, lines: string): void {
  const actual = output.split(/\r?\n/)
  let from = 0
  for (const line of lines.split('\n').filter((wanted) => wanted !== '')) {
    const pieces = line.split('…').map((piece) => piece.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    const pattern = new RegExp(`^${pieces.join('.*')}$`)
    const index = actual.findIndex((candidate, at) => at >= from && pattern.test(candidate))
    expect(index, `${line} in ${output}`).not.toBe(-1)
    from = index + 1
  }
}
