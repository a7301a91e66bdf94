import { appendFile, mkdtemp, readFile, readdir, rm, utimes } from 'node:fs/promises'
import path from 'node:path'

import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import type { StorageAdapter, WithLock } from '../../../../src/storage/adapter.ts'
import { FINISHED } from '../../../../src/storage/contract/check.ts'
import { fsStorage } from '../../../../src/storage/fs.ts'
import { FAST_DIRECTORY } from '../../../support/storage/stores.ts'

const MINUTE = 60_000
const TWO_HOURS_AGO = new Date(Date.now() - 7_200_000)

let directory: string
let storage: StorageAdapter
let stop: (() => Promise<void>) | undefined

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  directory = await mkdtemp(path.join(FAST_DIRECTORY, 'partial-upload-'))
  storage = fsStorage({ directory, patch: 'layers', layersAbove: 0, rebuildAfter: 5000 })
})

afterEach(async () => {
  await stop?.()
  vi.useRealTimers()
  await rm(directory, { recursive: true, force: true })
})

async function patch(key: string, position: number, bytes: string): Promise<void> {
  const initial = { ...FINISHED, complete: false }
  const writer = await storage.openWriter(key, { transaction: 'atomic', replace: false, initial })
  await writer.write(position, [Buffer.from(bytes)])
  await writer.commit(FINISHED)
}

/** A lock that records each attempt, and which `next` may refuse with an error. */
function lend(next: () => void = () => {}) {
  const attempts: string[] = []
  const withLock: WithLock = async (key, work) => {
    attempts.push(key)
    next()
    return work(() => false)
  }
  stop = storage.maintain?.(withLock)
  return attempts
}

const onDisk = (key: string) => readFile(path.join(directory, key), 'utf8')

/** Waits for work on the disk. The timers move on by some milliseconds with each check. */
const until = (check: () => unknown, value: unknown) =>
  vi.waitFor(async () => expect(await check()).toEqual(value), { timeout: 20_000 })

test('a rebuild waits until no patch has come for a while', async () => {
  await patch('a', 0, '01234')
  const attempts = lend()
  await patch('a', 0, 'x')
  vi.advanceTimersByTime(4999)
  await patch('a', 1, 'y')
  vi.advanceTimersByTime(4999)
  await patch('a', 2, 'z')
  expect(await onDisk('a')).toBe('01234')
  vi.advanceTimersByTime(5000)

  await until(() => onDisk('a'), 'xyz34')
  expect(attempts).toEqual(['a'])
})

test('layers of a quarter of the file are rebuilt at once', async () => {
  await patch('a', 0, 'a'.repeat(4 * 1024 * 1024))
  lend()
  await patch('a', 1, 'b'.repeat(1024 * 1024))
  vi.advanceTimersByTime(0)

  await until(async () => (await onDisk('a')).slice(0, 3), 'abb')
})

test.each([
  ['a full disk lets all resources wait', 'ENOSPC', ['a']],
  ['a fault of one resource lets that one wait', undefined, ['a', 'b']],
])('%s', async (_name, code, first) => {
  await patch('a', 0, '01234')
  await patch('b', 0, '01234')
  let failures = 1
  const attempts = lend(() => {
    failures -= 1
    if (failures >= 0) throw Object.assign(new Error('failed'), { code })
  })
  await patch('a', 0, 'x')
  await patch('b', 0, 'x')
  vi.advanceTimersByTime(5000)
  await until(() => attempts.length > 0, true)
  if (first.length > 1) await until(() => attempts, first)
  await patch('a', 1, 'y')
  vi.advanceTimersByTime(MINUTE - 1000)
  expect(attempts).toEqual(first)
  expect(await onDisk('a')).toBe('01234')
  vi.advanceTimersByTime(2000)

  await until(() => onDisk('a'), 'xy234')
  await until(() => onDisk('b'), 'x1234')
})

const layers = async () =>
  (await readdir(path.join(directory, '.partial-upload'))).filter((name) => name.endsWith('.patch'))

test('layers are removed an hour after they were merged', async () => {
  await patch('a', 0, '01234')
  for (let position = 0; position < 5; position += 1) await patch('a', position, 'x')
  expect(await layers()).toHaveLength(5)
  vi.advanceTimersByTime(59 * MINUTE)
  expect(await layers()).toHaveLength(5)
  vi.advanceTimersByTime(MINUTE)

  await until(async () => (await layers()).length, 1)
})

test('the layers of a file that another program has replaced are removed an hour later, with the record', async () => {
  await patch('a', 0, '01234')
  lend()
  await patch('a', 0, 'x')
  const staging = path.join(directory, '.partial-upload')
  const [record = ''] = (await readdir(staging)).filter((name) => name.endsWith('.json'))
  await utimes(path.join(staging, record), TWO_HOURS_AGO, TWO_HOURS_AGO)
  await appendFile(path.join(directory, 'a'), 'z')
  // The rebuild finds the file of the other program, and its end sets a timer for the layers.
  vi.advanceTimersByTime(5000)
  await until(() => vi.getTimerCount() > 0, true)
  expect(await layers()).toHaveLength(1)
  vi.advanceTimersByTime(60 * MINUTE)

  await until(() => readdir(staging), [])
  expect(await onDisk('a')).toBe('01234z')
})
