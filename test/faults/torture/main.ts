/** `npm run torture`: kills servers until each kind of work was hit often enough, and prints a table. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'

import { removeBundles } from '../../support/faults/process.ts'
import type { Score } from './round.ts'
import { torture } from './run.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '300' },
    seed: { type: 'string', default: String(Date.now()) },
    servers: { type: 'string', default: '1,2' },
    layers: { type: 'boolean', default: false },
    directory: { type: 'string', default: tmpdir() },
  },
})

const COLUMNS = ['middle', 'before', 'part', 'after', 'answered', 'bytes', 'violations'] as const

function print(score: Score): void {
  console.log(`| kind | ${COLUMNS.join(' | ')} |\n| --- |${' ---: |'.repeat(COLUMNS.length)}`)
  for (const [kind, row] of score.rows) {
    console.log(`| ${kind} | ${COLUMNS.map((column) => row[column]).join(' | ')} |`)
  }
}

async function run(servers: 1 | 2): Promise<void> {
  const directory = mkdtempSync(path.join(values.directory, 'partial-upload-torture-'))
  const start = performance.now()
  try {
    const kills = Number(values.kills)
    let [next, told] = [0, 0]
    const onRound = (score: Score): void => {
      for (const violation of score.violations.slice(told)) console.error(violation)
      told = score.violations.length
      if (score.kills < next) return
      next = score.kills + 50
      const seconds = Math.round((performance.now() - start) / 1000)
      const middle = Array.from(score.rows, ([kind, row]) => `${kind} ${row.middle}`).join(', ')
      console.error(
        `${seconds} s, ${score.kills} kills, ${told} violations; in the middle: ${middle}`,
      )
    }
    const { seed, layers: hasLayers } = values
    const score = await torture({ directory, servers, seed, hasLayers, kills, onRound })
    const seconds = Math.round((performance.now() - start) / 1000)
    const what = servers === 1 ? 'of the only server' : 'of one of two servers'
    console.log(`\n${score.kills} kills ${what} in ${seconds} s, seed ${values.seed}\n`)
    print(score)
    for (const violation of score.violations) console.log(violation)
    if (score.violations.length > 0) process.exitCode = 1
    else rmSync(directory, { recursive: true })
  } catch (error) {
    console.error(`what is left is in ${directory}`)
    throw error
  }
}

try {
  for (const servers of values.servers.split(',')) await run(servers === '2' ? 2 : 1)
} finally {
  removeBundles()
}
