import { spawnSync } from 'node:child_process'
import { availableParallelism, cpus } from 'node:os'

import type { Case } from './cases.ts'
import { BARE, TUS } from './contestants.ts'
import type { Sample } from './measure.ts'

const MB = 1e6
const MIB = 2 ** 20
const GIB = 2 ** 30

/** The samples of one case, by the contestant's label. */
export type Results = ReadonlyMap<string, readonly Sample[]>

/** When and where this was measured. */
export function formatMachine(directory: string, rounds: number): string {
  const date = new Date().toISOString().slice(0, 10)
  const model = cpus()[0]?.model.trim() ?? 'unknown CPU'
  return (
    `Measured on ${date}: ${model}, ${availableParallelism()} cores, Node ${process.version}, ` +
    `${fileSystemOf(directory)}, ${process.platform}. Medians of ${rounds} interleaved rounds, least ` +
    'and greatest rate in parentheses.\n'
  )
}

/** The table of one case. */
export function formatCase({ title, work, unit }: Case, results: Results): string {
  const requests = work.count * work.connections
  const bytes = (work.range ?? work.size) * requests
  const amount = unit === 'MB' ? bytes / MB : requests
  const rows = [...results].map(([label, samples]) => {
    const rates = samples.map(({ seconds }) => amount / seconds)
    const cpu = median(samples.map((sample) => sample.cpu))
    const cost = unit === 'MB' ? (cpu * GIB) / bytes : (cpu * 1000) / requests
    const p99 = median(samples.map((sample) => sample.p99))
    const peak = median(samples.map((sample) => sample.peak))
    return {
      cells: [
        label,
        `${median(rates).toFixed(0)} (${Math.min(...rates).toFixed(0)}–${Math.max(...rates).toFixed(0)})`,
        cost.toFixed(2),
        p99.toFixed(p99 < 100 ? 1 : 0),
        (peak / MIB).toFixed(0),
      ],
      label,
      rate: median(rates),
      cost,
    }
  })
  const of = (name: string) => rows.find(({ label }) => label === name)
  const head = [
    'server',
    `${unit}/s`,
    unit === 'MB' ? 'CPU s per GiB' : 'CPU ms each',
    'p99 ms',
    'peak MiB',
    'rate × bare',
    'CPU × bare',
    'rate × tus',
  ]
  return (
    `${title}:\n\n` +
    formatTable(
      head,
      rows.map(({ cells, rate, cost }) => [
        ...cells,
        ratio(rate, of(BARE)?.rate),
        ratio(cost, of(BARE)?.cost),
        ratio(rate, of(TUS)?.rate),
      ]),
    )
  )
}

function ratio(value: number, base: number | undefined): string {
  return base === undefined ? '' : (value / base).toFixed(2)
}

function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = head.map((_, column) => (column === 0 ? '---' : '--:'))
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const upper = sorted[Math.floor(middle)] ?? Number.NaN
  const lower = sorted[Math.ceil(middle) - 1] ?? Number.NaN
  return (lower + upper) / 2
}

function fileSystemOf(directory: string): string {
  const { status, stdout } = spawnSync('df', ['--output=fstype', directory], { encoding: 'utf8' })
  return status === 0 ? (stdout.trim().split('\n')[1] ?? 'unknown') : 'unknown file system'
}
