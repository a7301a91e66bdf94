/**
 * Measures this package beside bare servers that do the same work and beside other packages, and
 * prints Markdown tables.
 *
 *     npm run bench -- --size 1G --rounds 5 --directory /var/tmp --case bulk --case head
 *
 * Each measurement has a server of its own in a process of its own, compiled and under plain node.
 * The contestants take turns within a round.
 */

import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'

import { casesOf, type Case } from './cases.ts'
import { start } from './ipc.ts'
import { measure, type Sample } from './measure.ts'
import { formatCase, formatMachine, type Results } from './report.ts'

const { values: options } = parseArgs({
  options: {
    /** Bytes of a large file. */
    size: { type: 'string', default: '512M' },
    rounds: { type: 'string', default: '3' },
    /** Directory in which the servers store. Its file system is measured. */
    directory: { type: 'string', default: tmpdir() },
    /** Names of cases to measure; all if not given. */
    case: { type: 'string', multiple: true, default: [] },
    help: { type: 'boolean', default: false },
  },
})

if (options.help) {
  console.log('npm run bench -- [--size 512M] [--rounds 3] [--directory DIR] [--case NAME]...')
  console.log(`NAME: ${[...new Set(casesOf(0).map(({ name }) => name))].join(', ')}`)
  process.exit()
}

const rounds = parseSize(options.rounds)
const client = start('client.js')
try {
  console.log(formatMachine(options.directory, rounds))
  const isWanted = ({ name }: Case) => options.case.length === 0 || options.case.includes(name)
  for (const each of casesOf(parseSize(options.size)).filter(isWanted)) {
    console.log(formatCase(each, await run(each)))
  }
} finally {
  client.kill()
}

async function run({ name, contestants, warmUp, work }: Case): Promise<Results> {
  const results = new Map<string, Sample[]>(contestants.map(({ label }) => [label, []]))
  for (let round = 0; round < rounds; round += 1) {
    for (const contestant of contestants) {
      const sample = await measure(client, contestant, {
        parent: options.directory,
        warmUp,
        work,
      })
      console.error(`${name} ${round + 1}/${rounds} ${contestant.label}: ${format(sample)}`)
      results.get(contestant.label)?.push(sample)
    }
  }
  return results
}

function format({ seconds, cpu, peak }: Sample): string {
  return `${seconds.toFixed(2)} s, CPU ${cpu.toFixed(2)} s, peak ${(peak / 2 ** 20).toFixed(0)} MiB`
}

/** A count, or bytes with a binary suffix: `64K`, `256M`, `1G`. */
function parseSize(text: string): number {
  const match = /^(\d+)([KMG]?)$/.exec(text)
  const size = Number(match?.[1]) * 1024 ** ['', 'K', 'M', 'G'].indexOf(match?.[2] ?? '')
  if (Number.isSafeInteger(size) && size > 0) return size
  throw new TypeError(`${text}: expected a positive number, such as 2000 or 256M`)
}
