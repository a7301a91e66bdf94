/** When metadata is read synchronously, and when a thread of the pool reads it. */
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { isQuick, lstatIfThere, timed } from '../../../src/storage/fs/metadata.ts'

let staging: string
let now: number

beforeEach(async () => {
  staging = await mkdtemp(path.join(tmpdir(), 'metadata-'))
  now = 1000
  vi.spyOn(performance, 'now').mockImplementation(() => now)
})
afterEach(async () => {
  vi.restoreAllMocks()
  await rm(staging, { recursive: true })
})

function call(milliseconds: number): void {
  timed({ staging }, () => (now += milliseconds))
}

describe.runIf(process.platform === 'linux')('isQuick', () => {
  it('is true on a local disk', () => {
    expect(isQuick({ staging })).toBe(true)
  })

  it('is false on a file system that is not known to be local', () => {
    expect(isQuick({ staging: '/proc/self' })).toBe(false)
  })

  it('is false where the directory does not exist', () => {
    expect(isQuick({ staging: path.join(staging, 'gone') })).toBe(false)
  })

  it('is false for 10 s after three calls to a disk that takes 20 ms', () => {
    for (let count = 0; count < 3; count += 1) call(20)

    expect(isQuick({ staging })).toBe(false)
    now += 9999
    expect(isQuick({ staging })).toBe(false)
    now += 1
    expect(isQuick({ staging })).toBe(true)
  })

  it('stays true when a busy processor delays one call in a hundred by 10 ms', () => {
    for (let count = 0; count < 10; count += 1) {
      call(10)
      for (let quick = 0; quick < 99; quick += 1) call(0.01)
    }

    expect(isQuick({ staging })).toBe(true)
  })

  it('stays true after two calls of a second', () => {
    call(1000)
    call(1000)

    expect(isQuick({ staging })).toBe(true)
  })
})

describe.each(['event loop', 'thread pool'])('lstatIfThere on the %s', (thread) => {
  beforeEach(() => {
    if (thread === 'thread pool') for (let count = 0; count < 3; count += 1) call(20)
  })

  it('returns null where no file exists', async () => {
    expect(await lstatIfThere({ staging }, path.join(staging, 'gone'))).toBeNull()
  })

  it('does not follow a symbolic link', async () => {
    await symlink('.', path.join(staging, 'link'))

    const found = await lstatIfThere({ staging }, path.join(staging, 'link'))

    expect(found?.isSymbolicLink()).toBe(true)
  })

  it('throws where a file is in the place of a directory', async () => {
    await writeFile(path.join(staging, 'file'), '')

    await expect(lstatIfThere({ staging }, path.join(staging, 'file', 'a'))).rejects.toThrow(
      'ENOTDIR',
    )
  })
})
