/** The memory of readers whose clients are slow. */
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { expect, it, onTestFinished } from 'vitest'

import { FileReader } from '../../../src/storage/fs/io.ts'

const MIB = 1024 * 1024
const READERS = 1000

it('a thousand readers hold 0.16 MiB each at most, and a single one reads 0.25 MiB at once', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'readers-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const file = await open(path.join(directory, 'large'), 'w+')
  await file.truncate(2 * MIB)
  const reader = new FileReader(file, () => undefined)
  const readings = Array.from({ length: READERS }, () =>
    reader.read(0, 2 * MIB)[Symbol.asyncIterator](),
  )

  let held = 0
  for (const reading of readings) held += await sizeOfNext(reading)
  for (const reading of readings) await reading.return?.()
  const single = reader.read(0, 2 * MIB)[Symbol.asyncIterator]()
  const size = await sizeOfNext(single)
  await single.return?.()
  await reader.close()

  expect(held / READERS).toBeLessThan(0.16 * MIB)
  expect(size).toBe(MIB / 4)
})

async function sizeOfNext(reading: AsyncIterator<Uint8Array>): Promise<number> {
  const step = await reading.next()
  return step.done === true ? 0 : step.value.byteLength
}
