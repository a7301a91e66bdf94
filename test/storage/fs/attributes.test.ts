/** The attributes of files: permissions, owners and times, and directories of other users. */
import { spawnSync } from 'node:child_process'
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

import { buildSync } from 'esbuild'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import type { ResourceState, StorageAdapter } from '../../../src/storage/adapter.ts'
import { FINISHED as UNTYPED } from '../../../src/storage/contract/check.ts'
import { fsStorage } from '../../../src/storage/fs.ts'

const CHILD = fileURLToPath(new URL('../../support/storage/fs-patch-child.ts', import.meta.url))
const FINISHED: ResourceState = { ...UNTYPED, contentType: 'text/plain' }
const BEGUN = { ...FINISHED, complete: false, everComplete: false }

let directory = ''
let storage: StorageAdapter

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'attributes-'))
  storage = fsStorage({ directory })
})

afterEach(() => rm(directory, { recursive: true }))

function at(key: string): string {
  return path.join(directory, key)
}

async function write(
  key: string,
  bytes: string,
  { replace = true, state = FINISHED } = {},
): Promise<string> {
  const transaction = replace ? 'atomic' : 'persist'
  const writer = await storage.openWriter(key, { transaction, replace, initial: BEGUN })
  await writer.write(replace ? 0 : (writer.base?.size ?? 0), [Buffer.from(bytes)])
  return (await writer.commit(state)).etag
}

async function modeOf(key: string): Promise<string> {
  return ((await stat(at(key))).mode & 0o777).toString(8)
}

/** Patches `a` as another user, and returns the error that ended the process; empty if none did. */
function patchAs(uid: number): string {
  const outfile = at('child.mjs')
  buildSync({ entryPoints: [CHILD], outfile, bundle: true, platform: 'node', format: 'esm' })
  const options = { uid, gid: uid, encoding: 'utf8' } as const
  return spawnSync(process.execPath, [outfile, directory], options).stderr
}

const IS_ROOT = process.getuid?.() === 0
const NEEDS_ROOT = IS_ROOT ? '' : ' (skipped: needs root)'

describe('a resource that is replaced keeps', () => {
  it('the permissions of its file', async () => {
    await write('a', 'abc')
    await chmod(at('a'), 0o600)

    await write('a', 'def')

    expect(await readFile(at('a'), 'utf8')).toBe('def')
    expect(await modeOf('a')).toBe('600')
  })

  it.skipIf(!IS_ROOT)(`the owner of its file${NEEDS_ROOT}`, async () => {
    await writeFile(at('a'), 'abc')
    await chown(at('a'), 1234, 1235)
    await chmod(at('a'), 0o640)

    await write('a', 'def')

    expect(await stat(at('a'))).toMatchObject({ uid: 1234, gid: 1235 })
    expect(await modeOf('a')).toBe('640')
  })
})

describe('a finished resource that is reopened keeps', () => {
  /** Cuts the resource, so that it is incomplete. */
  async function reopen(size: number): Promise<void> {
    const options = { transaction: 'atomic', replace: false, initial: BEGUN } as const
    const writer = await storage.openWriter('a', options)
    await writer.truncate(size)
    await writer.commit({ ...BEGUN, everComplete: true, completeLength: 4 })
  }

  const append = { replace: false, state: { ...BEGUN, completeLength: 4 } }

  it.each([
    { size: 2, mode: 0o600, end: { replace: false, state: FINISHED } },
    { size: 2, mode: 0o444, end: { replace: false, state: FINISHED } },
    { size: 0, mode: 0o600, end: { replace: false, state: FINISHED } },
    { size: 2, mode: 0o640, end: { replace: true, state: FINISHED } },
  ])('permissions $mode, cut to $size bytes, then $end', async ({ size, mode, end }) => {
    await write('a', 'abc')
    await chmod(at('a'), mode)

    await reopen(size)
    // A state of its own replaces the record.
    await write('a', 'x', append)
    await write('a', 'y', end)

    expect(await modeOf('a')).toBe(mode.toString(8))
  })

  it.skipIf(!IS_ROOT)(`the owner of its file${NEEDS_ROOT}`, async () => {
    await write('a', 'abc')
    await chown(at('a'), 1234, 1235)
    await chmod(at('a'), 0o640)

    await reopen(2)
    await write('a', 'x', { replace: false, state: FINISHED })

    expect(await stat(at('a'))).toMatchObject({ uid: 1234, gid: 1235 })
    expect(await modeOf('a')).toBe('640')
  })

  it('none of them when it was removed meanwhile', async () => {
    await write('a', 'abc')
    await chmod(at('a'), 0o600)
    await reopen(2)
    await storage.remove('a')

    await write('a', 'abc')

    expect(await modeOf('a')).not.toBe('600')
  })
})

it.skipIf(!IS_ROOT)(
  `a read-only file can be patched and stays read-only${NEEDS_ROOT}`,
  async () => {
    await writeFile(at('a'), 'abc')
    await chmod(at('a'), 0o444)
    for (const name of ['a', '.']) await chown(at(name), 65_534, 65_534)

    expect(patchAs(65_534)).toBe('')
    expect(await readFile(at('a'), 'utf8')).toBe('abX')
    expect(await modeOf('a')).toBe('444')
  },
)

describe('a finished resource', () => {
  it('is the same version when a backup with whole seconds restores it', async () => {
    const etag = await write('a', 'abc')
    const { mtimeMs } = await stat(at('a'))
    await rm(at('a'))
    await writeFile(at('a'), 'abc')
    // Set the time of the file hours later, in whole seconds, as `tar` does with the time in the
    // archive.
    const seconds = Math.floor(mtimeMs / 1000)
    await expect
      .poll(
        async () => {
          await utimes(at('a'), seconds, seconds)
          return (await stat(at('a'))).ctimeMs - seconds * 1000
        },
        { timeout: 10_000 },
      )
      .toBeGreaterThan(2500)

    expect(await storage.head('a')).toMatchObject({ contentType: 'text/plain', etag })
  })

  it('is another version when another program makes it in the same second', async () => {
    const etag = await write('a', 'abc')
    const { mtimeMs } = await stat(at('a'))
    await rm(at('a'))
    await writeFile(at('a'), 'xyz')
    const seconds = Math.floor(mtimeMs / 1000)
    await utimes(at('a'), seconds, seconds)

    const found = await storage.head('a')

    expect(found?.contentType).toBeNull()
    expect(found?.etag).not.toBe(etag)
  })
})

it('an upload notices a changed record whose number, size and times are the same', async () => {
  await write('a', 'abc', { replace: false, state: BEGUN })
  // Keeps the data file open for the next segment.
  await write('a', 'def', { replace: false, state: BEGUN })
  const staging = at('.partial-upload')
  const [name = ''] = (await readdir(staging)).filter((file) => file.endsWith('.json'))
  const record = path.join(staging, name)
  const before = await stat(record)
  const changed = (await readFile(record, 'utf8')).replace('text/plain', 'text/plaiX')
  await writeFile(record, changed)
  await utimes(record, before.atime, before.mtime)

  await write('a', 'ghi', { replace: false, state: { ...BEGUN, contentType: 'text/plaiX' } })

  const reader = await storage.openReader('a')
  expect(reader && (await text(reader.read(0, reader.info.size)))).toBe('abcdefghi')
  await reader?.close()
  const writer = await storage.openWriter('a', {
    transaction: 'persist',
    replace: false,
    initial: BEGUN,
  })
  expect(writer.base).toEqual(await storage.head('a'))
  await writer.rollback()
})

describe('an empty directory of another program', () => {
  it('stays when the upload to a resource below it is refused', async () => {
    await mkdir(at('x/y'), { recursive: true })
    await mkdir(at('x/y/a/b'), { recursive: true })
    await writeFile(at('x/y/a/b/file'), '')

    await expect(write('x/y/a', 'abc')).rejects.toMatchObject({ code: 'ERR_KEY_CONFLICT' })
    await rm(at('x/y/a'), { recursive: true })
    const writer = await storage.openWriter('x/y/a', {
      transaction: 'atomic',
      replace: true,
      initial: BEGUN,
    })
    await writer.write(0, [Buffer.from('abc')])
    // Make the commit fail after the directories were created.
    await mkdir(at('x/y/a'))
    await writeFile(at('x/y/a/file'), '')
    await expect(writer.commit(FINISHED)).rejects.toMatchObject({ code: 'ERR_KEY_CONFLICT' })
    await writer.rollback()
    await rm(at('x/y/a'), { recursive: true })

    expect(await readdir(at('x'))).toEqual(['y'])
  })

  it.skipIf(!IS_ROOT)(`that cannot be read is a conflict${NEEDS_ROOT}`, async () => {
    await mkdir(at('a'), 0o000)
    for (const name of ['a', '.']) await chown(at(name), 65_534, 65_534)

    expect(patchAs(65_534)).toContain('ERR_KEY_CONFLICT')
    expect(await readdir(at('a'))).toEqual([])
  })

  it('stays where a writer was opened and rolled back', async () => {
    await mkdir(at('a/b'), { recursive: true })

    const writer = await storage.openWriter('a', {
      transaction: 'persist',
      replace: false,
      initial: BEGUN,
    })
    await writer.rollback()

    expect(await readdir(at('a'))).toEqual(['b'])
  })

  it('makes room for a resource that is published', async () => {
    await mkdir(at('a/b'), { recursive: true })

    await write('a', 'abc')

    expect(await readFile(at('a'), 'utf8')).toBe('abc')
  })
})
