/** The store removes only its own files, and serves no other file as its version. */
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readdir, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import type { OpenWriterOptions, StorageAdapter } from '../../../src/storage/adapter.ts'
import { ATOMIC, BEGUN, FINISHED, PERSIST } from '../../../src/storage/contract/check.ts'
import { fsStorage } from '../../../src/storage/fs.ts'

const REPLACE: OpenWriterOptions = { ...ATOMIC, replace: true }

let parent: string
let directory: string
let staging: string
let storage: StorageAdapter

beforeEach(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'partial-upload-'))
  directory = path.join(parent, 'uploads')
  staging = path.join(directory, '.partial-upload')
  storage = fsStorage({ directory })
})

afterEach(async () => {
  await rm(parent, { recursive: true })
})

async function append(bytes: string, options: OpenWriterOptions, state = BEGUN) {
  const writer = await storage.openWriter('a', options)
  await writer.write(options.replace ? 0 : (writer.base?.size ?? 0), [Buffer.from(bytes)])
  return writer.commit(state)
}

async function load(): Promise<string | null> {
  const reader = await storage.openReader('a')
  const stored = reader && (await text(reader.read(0, reader.info.size)))
  await reader?.close()
  return stored
}

/** Puts whole files into the folder, as another program does. */
async function putFile(bytes: string): Promise<void> {
  await writeFile(path.join(parent, 'prepared'), bytes)
  await rename(path.join(parent, 'prepared'), path.join(directory, 'a'))
}

async function dataPath(): Promise<string> {
  const name = (await readdir(staging)).find((other) => other.endsWith('.data'))
  return path.join(staging, name ?? 'no data')
}

describe('a file of another program at the path of an incomplete upload', () => {
  test('outlives the removal of the upload', async () => {
    await append('abc', PERSIST)
    await putFile('foreign')

    expect(await storage.remove('a')).toBe(true)

    expect(await load()).toBe('foreign')
    expect(await storage.head('a')).toMatchObject({ complete: true, contentType: null })
    expect(await readdir(staging)).toEqual([])
  })

  test('outlives the removal of a finished file that was reopened', async () => {
    await append('abc', PERSIST, FINISHED)
    await append('def', ATOMIC, { ...BEGUN, everComplete: true })
    await putFile('foreign')

    expect(await storage.remove('a')).toBe(true)

    expect(await load()).toBe('foreign')
  })

  test('is removed by a second removal, because it is the resource by then', async () => {
    await append('abc', PERSIST)
    await putFile('foreign')
    await storage.remove('a')

    expect(await storage.remove('a')).toBe(true)

    expect(await load()).toBeNull()
    expect(await readdir(directory)).toEqual(['.partial-upload'])
    expect(await readdir(staging)).toEqual([])
  })
})

describe('a copy that another process has removed', () => {
  test.each([
    ['an upload', ATOMIC],
    ['an upload that starts over', REPLACE],
  ])('does not replace %s', async (_, options) => {
    await append('abc', PERSIST)
    const before = await readdir(staging)
    const writer = await storage.openWriter('a', options)
    await writer.write(0, [Buffer.from('X')])
    const names = await readdir(staging)
    const copies = names.filter((name) => name.endsWith('.data') && !before.includes(name))
    for (const name of copies) await unlink(path.join(staging, name))

    for (const state of [BEGUN, FINISHED]) {
      await expect(writer.commit(state)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    }
    await writer.rollback()

    expect(copies).toHaveLength(1)
    expect(await load()).toBe('abc')
  })

  test.each([BEGUN, FINISHED])(
    'does not replace a finished file (complete: $complete)',
    async (state) => {
      const before = await append('abc', PERSIST, FINISHED)
      const writer = await storage.openWriter('a', ATOMIC)
      await writer.write(0, [Buffer.from('X')])
      await unlink(await dataPath())

      await expect(writer.commit(state)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
      await writer.rollback()

      expect(await load()).toBe('abc')
      expect(await storage.head('a')).toEqual(before)
    },
  )
})

test('an earlier half of a finished file, restored from a backup, is not served', async () => {
  await append('abc', PERSIST)
  const backup = path.join(parent, 'backup')
  execFileSync('cp', ['-a', directory, backup])
  await append('def', PERSIST, FINISHED)
  await unlink(path.join(directory, 'a'))
  execFileSync('cp', ['-an', `${backup}/.`, directory])

  expect(await storage.head('a')).toBeNull()
  expect(await load()).toBeNull()
  await append('new', PERSIST, FINISHED)
  expect(await readFile(path.join(directory, 'a'), 'utf8')).toBe('new')
})

test('a finished file that a crash has left unpublished is served from a backup', async () => {
  const info = await append('abc', PERSIST, FINISHED)
  const [record = ''] = await readdir(staging)
  const { data } = JSON.parse(await readFile(path.join(staging, record), 'utf8')) as {
    data: string
  }
  await rename(path.join(directory, 'a'), path.join(staging, data))
  execFileSync('cp', ['-a', directory, `${directory}-copy`])
  await rm(directory, { recursive: true })
  await rename(`${directory}-copy`, directory)

  expect(await storage.head('a')).toEqual(info)
  expect(await load()).toBe('abc')
})

test('a start removes what a crash in a removal has left', async () => {
  await append('abc', PERSIST)
  const ticket = path.join(staging, `${'x'.repeat(43)}.${'y'.repeat(12)}.old`)
  await mkdir(ticket)
  await writeFile(path.join(ticket, 'record'), '{}')
  const before = (await readdir(staging)).length

  vi.resetModules()
  const next = await import('../../../src/storage/fs.ts')
  await next.fsStorage({ directory }).head('a')

  await expect.poll(async () => (await readdir(staging)).length).toBe(before - 1)
  expect(await load()).toBe('abc')
})
