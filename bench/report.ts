import { spawnSync } from 'node:child_process'
import { availableParallelism, cpus } from 'node:os'

import { DISCARD, OURS, OURS_MULTIPART, TUS, type CaseName } from './contestants.ts'
import type { Sample, Work } from './measure.ts'

const MIB = 2 ** 20
const GIB = 2 ** 30

/** The medians of one contestant, by its label. */
export type Medians = ReadonlyMap<string, Sample>

/** The median of each member over all rounds. */
export function medianOf(samples: readonly Sample[]): Sample {
  return {
    seconds: median(samples.map(({ seconds }) => seconds)),
    cpu: median(samples.map(({ cpu }) => cpu)),
    peak: median(samples.map(({ peak }) => peak)),
  }
}

/** When and where this was measured. */
export function formatMachine(directory: string, rounds: number): string {
  const date = new Date().toISOString().slice(0, 10)
  const model = cpus()[0]?.model.trim() ?? 'unknown CPU'
  return (
    `Measured on ${date}: ${model}, ${availableParallelism()} cores, Node ${process.version}, ` +
    `${fileSystemOf(directory)}, ${process.platform}; medians of ${rounds} round(s).\n`
  )
}

/** The table of one large body. */
export function formatBody(medians: Medians, work: Work): string {
  return (
    `One body of ${formatSize(work.size)}:\n\n` +
    formatTable(
      ['server', 'MiB/s', 'CPU s per GiB', 'peak MiB', `× ${TUS}`, `× ${DISCARD}`],
      [...medians].map(([label, sample]) => [
        label,
        (work.size / MIB / sample.seconds).toFixed(0),
        ((sample.cpu * GIB) / work.size).toFixed(2),
        formatMib(sample.peak),
        ...formatRatios(medians, sample),
      ]),
    )
  )
}

/** The table of many small requests. */
export function formatRequests(medians: Medians, work: Work): string {
  const what = work.kind === 'head' ? 'HEAD requests' : `segments of ${formatSize(work.size)}`
  return (
    `${work.count} ${what} on one connection, one after the other:\n\n` +
    formatTable(
      ['server', 'requests/s', 'CPU ms per request', `× ${TUS}`, `× ${DISCARD}`],
      [...medians].map(([label, sample]) => [
        label,
        (work.count / sample.seconds).toFixed(0),
        ((sample.cpu * 1000) / work.count).toFixed(2),
        ...formatRatios(medians, sample),
      ]),
    )
  )
}

/** The table of peak memory with a small and a large body, each in a new process. */
export function formatMemory(
  small: Medians,
  large: Medians,
  sizes: { small: number; large: number },
): string {
  return (
    'Peak memory of the server, one body in a new process, MiB, with the TypeScript loader that all ' +
    'of them run under:\n\n' +
    formatTable(
      ['server', formatSize(sizes.small), formatSize(sizes.large), 'difference'],
      [...small].map(([label, { peak }]) => [
        label,
        formatMib(peak),
        formatMib(large.get(label)?.peak ?? Number.NaN),
        formatMib((large.get(label)?.peak ?? Number.NaN) - peak),
      ]),
    )
  )
}

/** What the package sets out to reach, for the cases that were measured. */
export function formatTargets(results: ReadonlyMap<CaseName | 'memory-large', Medians>): string {
  const body = results.get('body')
  const segments = results.get('segments')
  const peak = (name: 'memory' | 'memory-large') => results.get(name)?.get(OURS)?.peak ?? Number.NaN
  const rows: readonly (readonly [name: string, target: string, value: number, met: boolean])[] = [
    atLeast(`one body, × ${TUS}`, 2.5, speedup(body, OURS, TUS)),
    atLeast(`one body, × ${DISCARD}`, 0.75, speedup(body, OURS, DISCARD)),
    atLeast('multipart, × one message', 0.8, speedup(body, OURS_MULTIPART, OURS)),
    atLeast(`segments, × ${TUS}`, 4, speedup(segments, OURS, TUS)),
    atMost('peak memory, large over small, MB', 20, (peak('memory-large') - peak('memory')) / 1e6),
  ]
  return formatTable(
    ['target', 'to reach', 'measured', 'reached'],
    rows
      .filter(([, , value]) => !Number.isNaN(value))
      .map(([name, target, value, met]) => [name, target, value.toFixed(2), met ? 'yes' : 'no']),
  )
}

/** Bytes in the largest binary unit that gives a short number. */
function formatSize(size: number): string {
  if (size >= GIB) return `${Number((size / GIB).toFixed(2))} GiB`
  if (size >= MIB) return `${Number((size / MIB).toFixed(2))} MiB`
  return `${Number((size / 1024).toFixed(2))} KiB`
}

function atLeast(name: string, bound: number, value: number) {
  return [name, `≥ ${bound}`, value, value >= bound] as const
}

function atMost(name: string, bound: number, value: number) {
  return [name, `≤ ${bound}`, value, value <= bound] as const
}

function formatRatios(medians: Medians, { seconds }: Sample): readonly string[] {
  return [TUS, DISCARD].map((label) => formatRatio(medians.get(label), seconds))
}

function formatRatio(base: Sample | undefined, seconds: number): string {
  return base === undefined ? '' : (base.seconds / seconds).toFixed(2)
}

function speedup(medians: Medians | undefined, label: string, base: string): number {
  return (medians?.get(base)?.seconds ?? Number.NaN) / (medians?.get(label)?.seconds ?? Number.NaN)
}

function formatMib(size: number): string {
  return (size / MIB).toFixed(0)
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
