/**
 * `npm run torture`: kills servers until each kind of work was hit often enough, and prints a
 * table. With `--store s3` the servers share a bucket of Ceph RGW, or of the S3 engine at
 * `--endpoint`, behind a proxy with faults.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'

import { tortureBucket } from '../../engines/torture/bucket.ts'
import { removeBundles } from '../../support/faults/process.ts'
import { startEngine } from '../../support/s3/engine-process.ts'
import { tortureFiles } from './files.ts'
import type { Score } from './round.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '300' },
    seed: { type: 'string', default: String(Date.now()) },
    servers: { type: 'string' },
    layers: { type: 'boolean', default: false },
    directory: { type: 'string', default: tmpdir() },
    store: { type: 'string', default: 'fs' },
    endpoint: { type: 'string' },
    faults: { type: 'string', default: '8' },
  },
})

const COLUMNS = ['middle', 'before', 'part', 'after', 'answered', 'bytes', 'violations'] as const

function print(score: Score): void {
  console.log(`| kind | ${COLUMNS.join(' | ')} |\n| --- |${' ---: |'.repeat(COLUMNS.length)}`)
  for (const [kind, row] of score.rows) {
    console.log(`| ${kind} | ${COLUMNS.map((column) => row[column]).join(' | ')} |`)
  }
}

/** Prints violations at once, and the score after every 50 kills. */
function progress(): (score: Score) => void {
  const start = performance.now()
  let [next, shown] = [0, 0]
  return (score) => {
    for (const violation of score.violations.slice(shown)) console.error(violation)
    shown = score.violations.length
    if (score.kills < next) return
    next = score.kills + 50
    const seconds = Math.round((performance.now() - start) / 1000)
    const middle = Array.from(score.rows, ([kind, row]) => `${kind} ${row.middle}`).join(', ')
    console.error(
      `${seconds} s, ${score.kills} kills, ${shown} violations; in the middle: ${middle}`,
    )
  }
}

function report(score: Score, what: string, start: number): void {
  const seconds = Math.round((performance.now() - start) / 1000)
  console.log(`\n${score.kills} kills ${what} in ${seconds} s, seed ${values.seed}\n`)
  print(score)
  for (const violation of score.violations) console.log(violation)
  if (score.violations.length > 0) process.exitCode = 1
}

const { seed, layers: hasLayers } = values
const kills = Number(values.kills)

async function runOnFiles(servers: 1 | 2): Promise<void> {
  const directory = mkdtempSync(path.join(values.directory, 'partial-upload-torture-'))
  const start = performance.now()
  try {
    const score = await tortureFiles({
      directory,
      servers,
      seed,
      hasLayers,
      kills,
      onRound: progress(),
    })
    report(score, servers === 1 ? 'of the only server' : 'of one of two servers', start)
    if (score.violations.length === 0) rmSync(directory, { recursive: true })
  } catch (error) {
    console.error(`the files are in ${directory}`)
    throw error
  }
}

async function runOnBucket(servers: 2 | 3): Promise<void> {
  const own = values.endpoint === undefined ? await startEngine('rgw') : null
  const engine = values.endpoint ?? own?.endpoint ?? ''
  const start = performance.now()
  try {
    const faults = Number(values.faults)
    const score = await tortureBucket({ engine, servers, seed, kills, faults, onRound: progress() })
    report(score, `or halts of one of ${servers} servers on a bucket`, start)
  } finally {
    await own?.stop()
  }
}

try {
  const isBucket = values.store === 's3'
  for (const servers of (values.servers ?? (isBucket ? '2,3' : '1,2')).split(',')) {
    if (isBucket) await runOnBucket(servers === '3' ? 3 : 2)
    else await runOnFiles(servers === '2' ? 2 : 1)
  }
} finally {
  removeBundles()
}
