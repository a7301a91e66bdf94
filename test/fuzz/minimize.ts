/**
 * Makes a corpus of the inputs that fuzz runs have left: the shortest ones that together reach all.
 *
 *     node --import tsx test/fuzz/minimize.ts FOLDER
 *
 * FOLDER is the one that `npm run fuzz` names; its inputs join those in the repository.
 */
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'

import { readCorpus, writeCorpus } from './corpus.ts'
import { BlockCounters } from './precise-coverage.ts'
import { TARGETS, type Target } from './targets.ts'

/** Largest count of a block when two inputs are compared: never, once, and more often. */
const MANY = 2

const [folder = ''] = process.argv.slice(2)
const counters = new BlockCounters()
await counters.start()
for (const name of new Set(TARGETS.map(({ corpus }) => corpus))) {
  const targets = TARGETS.filter(({ corpus }) => corpus === name)
  const inputs = [...(await readCorpus(name)), ...(await Promise.all(targets.map(found))).flat()]
  const kept = await minimize(inputs, targets)
  await writeCorpus(name, kept)
  console.log(`${name}: ${kept.length} of ${inputs.length} inputs`)
}
counters.stop()
process.exit()

async function found({ name }: Target): Promise<readonly Buffer[]> {
  const place = path.join(folder, 'corpus', name)
  const names = await readdir(place).catch(() => [])
  return Promise.all(names.map((file) => readFile(path.join(place, file))))
}

async function minimize(
  inputs: readonly Buffer[],
  targets: readonly Target[],
): Promise<readonly Buffer[]> {
  const sorted = [...inputs].sort((a, b) => a.length - b.length || Buffer.compare(a, b))
  const seen = new Set<string>()
  const kept: Buffer[] = []
  for (const input of sorted) {
    const before = seen.size
    for (const target of targets) {
      for (const key of await reached(target, input)) seen.add(key)
    }
    if (seen.size > before) kept.push(input)
  }
  return kept
}

async function reached({ name }: Target, input: Buffer): Promise<readonly string[]> {
  const { fuzz } = (await import(`./targets/${name}.ts`)) as {
    fuzz: (data: Buffer) => Promise<void> | void
  }
  await counters.take()
  await fuzz(input)
  const counts = await counters.take()
  return [...counts].map(([block, count]) => `${name} ${block} ${Math.min(count, MANY)}`)
}
