/** Inputs that once reached something new, or failed, pass. */
import { expect, it } from 'vitest'

import { readCorpus } from './corpus.ts'
import { TARGETS } from './targets.ts'

it.each(TARGETS)('$name holds for its corpus', { timeout: 120_000 }, async ({ name, corpus }) => {
  const { fuzz } = (await import(`./targets/${name}.ts`)) as {
    fuzz: (data: Uint8Array) => Promise<void> | void
  }
  const inputs = await readCorpus(corpus)
  expect(inputs.length).toBeGreaterThan(0)

  for (const input of inputs) await fuzz(input)
})
