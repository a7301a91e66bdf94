/** File systems that are mounted below the directory of a store. */
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import type { ResourceState, StorageAdapter } from '../../../src/storage/adapter.ts'
import { BEGUN as UNTYPED } from '../../../src/storage/contract/check.ts'
import { fsStorage } from '../../../src/storage/fs.ts'

const BEGUN: ResourceState = { ...UNTYPED, completeLength: 6, contentType: 'text/plain' }
const FINISHED = { ...BEGUN, complete: true, everComplete: true }

let parent = ''
let directory = ''
let mountPoint = ''
let storage: StorageAdapter

beforeEach(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'mounts-'))
  directory = path.join(parent, 'store')
  mountPoint = path.join(directory, 'big disk/videos')
  await mkdir(mountPoint, { recursive: true })
  await mkdir(path.join(parent, 'elsewhere'))
  storage = fsStorage({ directory })
})

afterEach(async () => {
  unmount()
  await rm(parent, { recursive: true })
})

function mount(...options: readonly string[]): void {
  execFileSync('mount', [...options, mountPoint], { stdio: 'ignore' })
}

function unmount(): void {
  try {
    execFileSync('umount', ['--lazy', mountPoint], { stdio: 'ignore' })
  } catch {
    // The test has not mounted it, or has unmounted it.
  }
}

const CAN_MOUNT = canMount()

function canMount(): boolean {
  try {
    execFileSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

async function append(key: string, bytes: string, state: ResourceState): Promise<void> {
  const writer = await storage.openWriter(key, {
    transaction: 'persist',
    replace: false,
    initial: BEGUN,
  })
  await writer.write(writer.base?.size ?? 0, [Buffer.from(bytes)])
  await writer.commit(state)
}

async function load(key: string): Promise<string | null> {
  const reader = await storage.openReader(key)
  const stored = reader && (await text(reader.read(0, reader.info.size)))
  await reader?.close()
  return stored
}

async function listed(): Promise<readonly string[]> {
  const keys: string[] = []
  for await (const key of storage.listIncomplete?.() ?? []) keys.push(key)
  return keys.toSorted()
}

describe.skipIf(!CAN_MOUNT)(`below a mount${CAN_MOUNT ? '' : ' (skipped: needs mount)'}`, () => {
  it.each([
    ['of another device', () => ['-t', 'tmpfs', 'none']],
    ['of a directory of the same device', () => ['--bind', path.join(parent, 'elsewhere')]],
  ])('%s an upload is finished like any other', async (_what, options) => {
    mount(...options())

    await append('big disk/videos/new/a', 'abc', BEGUN)
    const incomplete = await listed()
    await append('big disk/videos/new/a', 'def', FINISHED)

    expect(incomplete).toEqual(['big disk/videos/new/a'])
    expect(await readFile(path.join(mountPoint, 'new/a'), 'utf8')).toBe('abcdef')
    expect(await storage.head('big disk/videos/new/a')).toMatchObject({ contentType: 'text/plain' })
    expect(await listed()).toEqual([])
  })

  it('a resource is replaced and removed like any other', async () => {
    mount('-t', 'tmpfs', 'none')
    await append('big disk/videos/a', 'abcdef', FINISHED)

    const writer = await storage.openWriter('big disk/videos/a', {
      transaction: 'atomic',
      replace: true,
      initial: FINISHED,
    })
    await writer.write(0, [Buffer.from('ABC')])
    await writer.commit(FINISHED)
    const replaced = await load('big disk/videos/a')

    expect(replaced).toBe('ABC')
    expect(await storage.remove('big disk/videos/a')).toBe(true)
    expect(await readdir(mountPoint)).toEqual(['.partial-upload'])
  })

  it('a mount that appears while the store is in use is noticed', async () => {
    await append('big disk/videos/a', 'abcdef', FINISHED)
    mount('-t', 'tmpfs', 'none')

    await append('big disk/videos/b', 'abcdef', FINISHED)

    expect([await load('big disk/videos/a'), await load('big disk/videos/b')]).toEqual([
      null,
      'abcdef',
    ])
  })

  it('the mount point itself is not a resource', async () => {
    mount('-t', 'tmpfs', 'none')
    await append('big disk/videos/a', 'abcdef', FINISHED)
    await storage.remove('big disk/videos/a')

    await expect(append('big disk/videos', 'abcdef', FINISHED)).rejects.toMatchObject({
      code: 'ERR_KEY_CONFLICT',
    })
  })

  it('a finished resource on a read-only file system can be read', async () => {
    mount('-t', 'tmpfs', 'none')
    await append('big disk/videos/a', 'abcdef', FINISHED)
    execFileSync('mount', ['-o', 'remount,ro', mountPoint])

    expect(await load('big disk/videos/a')).toBe('abcdef')
    await expect(append('big disk/videos/b', 'abc', BEGUN)).rejects.toMatchObject({ code: 'EROFS' })
  })

  it('the staging directory has no resources', async () => {
    mount('-t', 'tmpfs', 'none')

    await expect(storage.head('big disk/videos/.partial-upload/x')).rejects.toMatchObject({
      code: 'ERR_KEY',
    })
  })
})
