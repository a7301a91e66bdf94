/** Metadata that is read synchronously, or by a thread of the pool after slow calls. */
import { mkdtemp, open, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { exists, lstatIfThere, statOf } from '../../../src/storage/fs/metadata.ts'
import { METADATA_CALLS } from '../../../src/storage/fs/synchronous-calls.ts'

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
  METADATA_CALLS.time({ staging }, () => (now += milliseconds))
}

describe.each(['event loop', 'thread pool'])('a call on the %s', (thread) => {
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

  it('returns the size of an open file', async () => {
    await using file = await open(path.join(staging, 'file'), 'wx')
    await file.write('abc')

    const found = await statOf({ staging }, file)

    expect(found.size).toBe(3)
  })

  it('finds a link that leads nowhere, and no file where none exists', async () => {
    await symlink('gone', path.join(staging, 'link'))

    expect(await exists({ staging }, path.join(staging, 'link'))).toBe(true)
    expect(await exists({ staging }, path.join(staging, 'gone'))).toBe(false)
  })
})
