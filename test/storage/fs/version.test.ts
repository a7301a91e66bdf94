/** Reads the state of a resource that changes during each read. */
import { createHash } from 'node:crypto'
import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { performance } from 'node:perf_hooks'

import { afterEach, beforeEach, expect, test } from 'vitest'

import type { StorageAdapter } from '../../../src/storage/adapter.ts'
import { BEGUN } from '../../../src/storage/contract/check.ts'
import { fsStorage } from '../../../src/storage/fs.ts'

/** The longest time of a read of the state, in milliseconds: hundreds of times the usual one. */
const LONGEST_LOOK = 60_000
const TIMEOUT = { timeout: 2 * LONGEST_LOOK }

let directory: string
let storage: StorageAdapter

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-'))
  storage = fsStorage({ directory })
})

afterEach(async () => {
  await rm(directory, { recursive: true })
})

/**
 * Makes a change in every turn of the event loop, of which each call to the system takes at least
 * one.
 */
async function whileChanging<T>(change: () => void, work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + LONGEST_LOOK
  let timer: NodeJS.Immediate | undefined
  function again(): void {
    change()
    timer = performance.now() < deadline ? setImmediate(again) : undefined
  }
  again()
  try {
    const result = await work()
    if (performance.now() > deadline) throw new Error('it has ended with the changes only')
    return result
  } finally {
    clearImmediate(timer)
  }
}

test('a file of another program is found while it grows', TIMEOUT, async () => {
  const file = path.join(directory, 'a')
  writeFileSync(file, 'abc')
  await storage.head('b')

  const info = await whileChanging(
    () => appendFileSync(file, 'x'),
    () => storage.head('a'),
  )

  expect(info?.complete).toBe(true)
  expect(info?.size).toBeGreaterThan(3)
})

test(
  'a resource that changes during each read of its state ends in an error',
  TIMEOUT,
  async () => {
    const state = { ...BEGUN, completeLength: 9 }
    const writer = await storage.openWriter('a', {
      transaction: 'persist',
      replace: false,
      initial: state,
    })
    await writer.write(0, [Buffer.from('abc')])
    await writer.commit(state)
    const hash = createHash('sha256').update('a').digest('base64url')
    const record = path.join(directory, '.partial-upload', `${hash}.json`)
    const text = readFileSync(record, 'utf8')
    const { data: name } = JSON.parse(text) as { data: string }
    let count = 0

    const found = whileChanging(
      () => {
        count += 1
        const other = `${hash}.${String(count).padStart(12, '0')}.data`
        writeFileSync(`${record}.next`, text.replace(name, other))
        renameSync(`${record}.next`, record)
      },
      () => storage.head('a'),
    )

    await expect(found).rejects.toThrow('the resource has changed during 100 attempts to read it')
  },
)
