/**
 * Fuzzes, and measures what the costliest requests do to the event loop.
 *
 *     npm run fuzz -- --seconds 60
 *
 * The targets under coverage guidance take two thirds of the time, and the properties take one
 * third. The measurement takes additional time. Failures are printed, and the exit code is 1 then.
 */
import { randomInt } from 'node:crypto'
import { mkdir, mkdtemp } from 'node:fs/promises'
import path from 'node:path'
import { parseArgs } from 'node:util'

import { STORES } from '../support/storage/stores.ts'
import { fuzzByCoverage, type FuzzResult } from './coverage-guided.ts'
import { LONGEST_BLOCK, measureBlocks, ownBlock } from './event-loop.ts'
import { findNativeNode } from './native.ts'
import { PROPERTIES, serverProperties } from './properties.ts'
import { checkForSeconds } from './property-based.ts'
import { TARGETS } from './targets.ts'

const PARTS = ['coverage', 'properties', 'event-loop']

const { values: options } = parseArgs({
  options: {
    /** Time for the fuzzing, in seconds. */
    seconds: { type: 'string', default: '60' },
    /**
     * Seed of the random inputs. With the same seed a property gets the same inputs in the same
     * order.
     */
    seed: { type: 'string', default: String(randomInt(1, 2 ** 31)) },
    /** Names of targets; all if not given. */
    target: { type: 'string', multiple: true, default: TARGETS.map(({ name }) => name) },
    /** What to do; all if not given. */
    part: { type: 'string', multiple: true, default: PARTS },
  },
})

const seconds = Number(options.seconds)
const seed = Number(options.seed)
console.log(`seed ${seed}`)
const failures: string[] = []
if (options.part.includes('coverage')) await fuzzTargets((seconds * 2) / 3)
if (options.part.includes('properties')) await checkProperties(seconds / 3)
if (options.part.includes('event-loop')) await measure()
for (const failure of failures) console.log(`\nFAILED: ${failure}`)
process.exit(failures.length === 0 ? 0 : 1)

async function fuzzTargets(budget: number): Promise<void> {
  const native = await findNativeNode()
  if (native.command === null) {
    console.log(`coverage-guided: NOT RUN, the fuzzer does not load here: ${native.reason}`)
    return
  }
  const targets = TARGETS.filter(({ name }) => options.target.includes(name))
  const total = targets.reduce((sum, { weight }) => sum + weight, 0)
  const cache = path.join(import.meta.dirname, '../../node_modules/.cache/partial-upload-fuzz')
  await mkdir(cache, { recursive: true })
  const folder = await mkdtemp(path.join(cache, 'run-'))
  console.log(`coverage-guided, by Jazzer.js, in ${folder}`)
  for (const target of targets) {
    const share = Math.max(1, Math.round((budget * target.weight) / total))
    const result = await fuzzByCoverage(target, {
      node: native.command,
      folder,
      seconds: share,
      seed,
    })
    console.log(`  ${target.name}: ${describe(result)}, ${share} s`)
    if (result.failure !== null) failures.push(`${target.name}\n${result.failure}`)
  }
}

function describe({ executions, edges, features, inputs, heap, peakMiB }: FuzzResult): string {
  const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)
  const growth = heap === null ? 'not sampled' : heap.map(mebibytes).join(' to ')
  return `${executions} inputs, ${edges} edges, ${features} features, corpus of ${inputs}, heap ${growth} MiB, peak ${peakMiB} MiB`
}

async function checkProperties(budget: number): Promise<void> {
  console.log('property-based, by fast-check')
  const servers = await Promise.all([serverProperties('memory'), serverProperties('fs')])
  const properties = [...PROPERTIES, ...servers.flat()]
  for (const { name, property } of properties) {
    const { runs, failure } = await checkForSeconds(property, budget / properties.length, seed)
    console.log(`  ${name}: ${runs} inputs`)
    if (failure !== null) failures.push(`${name}\n${failure}`)
  }
}

async function measure(): Promise<void> {
  for (const { name: store } of STORES) {
    const [worst, ...rest] = await measureBlocks(store)
    console.log(`event loop, ${store}: ${rest.length + 1} inputs, the longest blocks:`)
    for (const measured of [worst!, ...rest].slice(0, 5)) {
      const { name, cpu, wall, express } = measured
      console.log(
        `  ${ownBlock(measured).toFixed(0)} ms: ${name} (${cpu.toFixed(0)} ms of processor, ${express.toFixed(0)} ms of them Express alone; ${wall.toFixed(0)} ms by the clock)`,
      )
      if (ownBlock(measured) > LONGEST_BLOCK) failures.push(`event loop, ${store}: ${name}`)
    }
  }
}
