/** The first bytes of a segment, which are written synchronously on a quick disk. */
import { mkdtemp, open, readFile, rm, type FileHandle } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { BEGUN } from '../../../src/storage/contract/check.ts'
import { fsStorage } from '../../../src/storage/fs.ts'
import { writeFirst } from '../../../src/storage/fs/small-write.ts'
import { METADATA_CALLS, SMALL_WRITES } from '../../../src/storage/fs/synchronous-calls.ts'

const KIB = 1024

let staging: string
let file: FileHandle

beforeEach(async () => {
  staging = await mkdtemp(path.join(tmpdir(), 'small-write-'))
  file = await open(path.join(staging, 'data'), 'wx+')
})
afterEach(async () => {
  vi.restoreAllMocks()
  await file.close()
  await rm(staging, { recursive: true })
})

describe.runIf(process.platform === 'linux')('writeFirst', () => {
  it('has written a few bytes when it returns', async () => {
    await writeFirst({ staging }, file, 0, [Buffer.from('abc')])
    const writing = writeFirst({ staging }, file, 3, [Buffer.from('de'), Buffer.from('f')])

    expect(readFileSync(path.join(staging, 'data'), 'utf8')).toBe('abcdef')
    await writing
  })

  it('leaves more than 128 KiB to a thread of the pool', async () => {
    const time = vi.spyOn(SMALL_WRITES, 'time')

    await writeFirst({ staging }, file, 0, [Buffer.alloc(128 * KIB), Buffer.from('a')])

    expect(time).not.toHaveBeenCalled()
    expect(await readFile(path.join(staging, 'data'))).toHaveLength(128 * KIB + 1)
  })

  it('leaves all bytes to the pool after slow writes, however quick the calls for metadata are', async () => {
    let now = performance.now()
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now)
    for (let count = 0; count < 3; count += 1) {
      SMALL_WRITES.time({ staging }, () => (now += 200))
      for (let quick = 0; quick < 100; quick += 1) METADATA_CALLS.time({ staging }, () => null)
    }
    const time = vi.spyOn(SMALL_WRITES, 'time')

    await writeFirst({ staging }, file, 0, [Buffer.from('abc')])

    expect(time).not.toHaveBeenCalled()
    expect(await readFile(path.join(staging, 'data'), 'utf8')).toBe('abc')
    clock.mockRestore()
  })

  it('rejects with the error of the system', async () => {
    await file.close()
    file = await open(path.join(staging, 'data'), 'r')

    const writing = writeFirst({ staging }, file, 0, [Buffer.from('abc')])

    await expect(writing).rejects.toThrow('EBADF')
  })
})

describe.runIf(process.platform === 'linux')('a segment', () => {
  it('writes its first bytes synchronously, and later ones by the pool', async () => {
    const storage = fsStorage({ directory: path.join(staging, 'store'), fsync: 'never' })
    const initial = { ...BEGUN, completeLength: 9 }
    const options = { transaction: 'persist', replace: false, initial } as const
    const first = await storage.openWriter('a', options)
    await first.write(0, [Buffer.from('abc')])
    await first.commit(initial)
    const time = vi.spyOn(SMALL_WRITES, 'time')

    const second = await storage.openWriter('a', options)
    await second.write(3, [Buffer.from('def')])
    await second.write(6, [Buffer.from('g')])

    expect(time).toHaveBeenCalledTimes(1)
    const info = await second.commit(initial)
    expect(info.size).toBe(7)
  })
})
