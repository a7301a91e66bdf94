/**
 * The files of a dead process in the staging directory are removed, and those of a living one stay.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import type { StorageAdapter } from '../../../src/storage/adapter.ts'
import { REPLACE } from '../../../src/storage/contract/check.ts'
import { fsLocker, fsStorage } from '../../../src/storage/fs.ts'

const CHILD = fileURLToPath(new URL('../../support/storage/fs-stage-child.ts', import.meta.url))
const AHEAD_CHILD = fileURLToPath(
  new URL('../../support/storage/fs-ahead-child.ts', import.meta.url),
)
const ORPHAN = `${'x'.repeat(43)}.owner1random.data`
/** An owner in another container. */
const UNSEEN = 'elsewhere 1 1 x'

let directory = ''
let staging = ''
let children: ChildProcess[] = []
let links: string[] = []

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'leftovers-'))
  staging = path.join(directory, '.partial-upload')
})

afterEach(async () => {
  vi.useRealTimers()
  for (const child of children) child.kill('SIGKILL')
  children = []
  for (const link of [...links, directory]) await rm(link, { recursive: true })
  links = []
})

/** Starts a process, by default one that has staged three bytes. */
async function startChild(entry = CHILD): Promise<ChildProcess> {
  const execArgv = ['--conditions=@partial-upload/source', '--import', 'tsx']
  const child = fork(entry, [directory], { execArgv })
  children.push(child)
  await once(child, 'message')
  return child
}

/** Makes a store as in a new process. It sweeps when it is used. */
async function openStore(): Promise<StorageAdapter> {
  // A path of its own, since the stores of one process on one path are one.
  const link = await mkdtemp(path.join(tmpdir(), 'leftovers-link-'))
  links.push(link)
  await symlink(directory, path.join(link, 'store'))
  vi.resetModules()
  const { fsStorage: freshStorage } = await import('../../../src/storage/fs.ts')
  return freshStorage({ directory: path.join(link, 'store') })
}

async function startStore(): Promise<void> {
  await (await openStore()).head('a')
}

describe('the staged file', () => {
  it('of a process that was killed is removed at the next start', async () => {
    const child = await startChild()
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await readdir(staging)).toHaveLength(2)

    await startStore()

    await expect.poll(() => readdir(staging), { timeout: 10_000 }).toEqual([])
  })

  it('of a living process stays, whatever the clock says', async () => {
    const child = await startChild()
    for (const name of await readdir(staging))
      await utimes(path.join(staging, name), 1, 1).catch(() => {})
    await writeFile(path.join(staging, ORPHAN), '')
    await utimes(path.join(staging, ORPHAN), 1, 1)

    await startStore()

    await expect.poll(() => existsSync(path.join(staging, ORPHAN))).toBe(false)
    child.send('commit')
    expect(await once(child, 'message')).toEqual(['committed', undefined])
    expect(await readFile(path.join(directory, 'a'), 'utf8')).toBe('abc')
  })

  it('of a living process stays when another one starts whose clock is hours ahead', async () => {
    const child = await startChild()
    await writeFile(path.join(staging, ORPHAN), '')

    await startChild(AHEAD_CHILD)

    // The sweep treats it as old, because nothing but its age shows whether it is needed.
    await expect.poll(() => existsSync(path.join(staging, ORPHAN))).toBe(false)
    child.send('commit')
    expect(await once(child, 'message')).toEqual(['committed', undefined])
    expect(await readFile(path.join(directory, 'a'), 'utf8')).toBe('abc')
  })

  it('of a process that was killed is removed although a writer holds the key at the next start', async () => {
    const child = await startChild()
    child.kill('SIGKILL')
    await once(child, 'exit')
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] })

    const writer = await (await openStore()).openWriter('a', REPLACE)
    await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1))
    await writer.rollback()
    vi.advanceTimersByTime(16_000)

    await vi.waitFor(async () => expect(await readdir(staging)).toEqual([]))
  })

  it('of an owner that can not be seen is removed after 15 s without a sign of life', async () => {
    await mkdir(staging)
    await symlink(UNSEEN, path.join(staging, 'owner1.owner'))
    await writeFile(path.join(staging, ORPHAN), '')
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] })

    await startStore()
    await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1))
    expect(await readdir(staging)).toHaveLength(2)
    vi.advanceTimersByTime(16_000)

    await vi.waitFor(async () => expect(await readdir(staging)).toEqual([]))
  })
})

it('a store at rest has no lease', async () => {
  const writer = await fsStorage({ directory }).openWriter('a', REPLACE)
  await writer.write(0, [Buffer.from('abc')])
  expect((await readdir(staging)).filter((name) => name.endsWith('.owner'))).toHaveLength(1)

  await writer.rollback()

  expect(await readdir(staging)).toEqual([])
})

it('the lock of a container that was killed is removed although no request needs it', async () => {
  const locks = path.join(staging, 'locks')
  await mkdir(locks, { recursive: true })
  await symlink(UNSEEN, path.join(locks, 'y'.repeat(43)))
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] })
  const locker = fsLocker({ directory })

  const lock = await locker.acquire('a', { wait: 0, stall: 2000 })
  lock.release()
  expect(await readdir(locks)).toHaveLength(1)
  vi.advanceTimersByTime(6000)

  await vi.waitFor(async () => expect(await readdir(locks)).toEqual([]))
})
