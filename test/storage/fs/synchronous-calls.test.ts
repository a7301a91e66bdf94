/** When calls of the file system are synchronous, and when a thread of the pool makes them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { SynchronousCalls } from '../../../src/storage/fs/synchronous-calls.ts'

let staging: string
let now: number
let calls: SynchronousCalls

beforeEach(async () => {
  staging = await mkdtemp(path.join(tmpdir(), 'synchronous-calls-'))
  now = 1000
  vi.spyOn(performance, 'now').mockImplementation(() => now)
  calls = new SynchronousCalls()
})
afterEach(async () => {
  vi.restoreAllMocks()
  await rm(staging, { recursive: true })
})

function call(milliseconds: number): void {
  calls.time({ staging }, () => (now += milliseconds))
}

describe.runIf(process.platform === 'linux')('SynchronousCalls', () => {
  it('are quick on a local disk', () => {
    expect(calls.areQuick({ staging })).toBe(true)
  })

  it('are not quick on a file system that is not known to be local', () => {
    expect(calls.areQuick({ staging: '/proc/self' })).toBe(false)
  })

  it('are not quick where the directory does not exist', () => {
    expect(calls.areQuick({ staging: path.join(staging, 'gone') })).toBe(false)
  })

  it('are not quick for 10 s after three calls to a disk that takes 20 ms', () => {
    for (let count = 0; count < 3; count += 1) call(20)

    expect(calls.areQuick({ staging })).toBe(false)
    now += 9999
    expect(calls.areQuick({ staging })).toBe(false)
    now += 1
    expect(calls.areQuick({ staging })).toBe(true)
  })

  it('stay quick when a busy processor delays one call in a hundred by 10 ms', () => {
    for (let count = 0; count < 10; count += 1) {
      call(10)
      for (let quick = 0; quick < 99; quick += 1) call(0.01)
    }

    expect(calls.areQuick({ staging })).toBe(true)
  })

  it('stay quick after two calls of a second', () => {
    call(1000)
    call(1000)

    expect(calls.areQuick({ staging })).toBe(true)
  })
})
