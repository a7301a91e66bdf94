/** Writers whose end fails because of the file system. */
import { mkdir, mkdtemp, readFile, readdir, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { ATOMIC, BEGUN, PERSIST } from '../../../src/storage/contract/check.ts'
import { fsStorage } from '../../../src/storage/fs.ts'

const ENDS = ['keep', 'rollback'] as const
/** The error of the system if a directory or a file is in the way. */
const BLOCKED = { code: expect.stringMatching(/^(EISDIR|ENOTDIR|EPERM)$/) as unknown }

let parent: string
let directory: string
let staging: string

beforeEach(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'partial-upload-'))
  directory = path.join(parent, 'uploads')
  staging = path.join(directory, '.partial-upload')
})

afterEach(async () => {
  await rm(parent, { recursive: true })
})

/** Blocks the names by which the writer replaces and removes the record. */
async function blockRecord(): Promise<readonly string[]> {
  const names = await readdir(staging)
  const name = names.find((other) => other.endsWith('.json')) ?? ''
  const { tag } = JSON.parse(await readFile(path.join(staging, name), 'utf8')) as { tag: string }
  const ticket = path.join(staging, `${name.slice(0, 43)}.${tag.slice(0, 12)}`)
  await mkdir(`${ticket}.tmp`)
  await writeFile(`${ticket}.old`, '')
  return [`${ticket}.tmp`, `${ticket}.old`]
}

async function leases(): Promise<string[]> {
  return (await readdir(staging)).filter((name) => name.endsWith('.owner'))
}

/** Files below the directory that this process has open. */
async function openFiles(): Promise<string[]> {
  const handles = await readdir('/proc/self/fd')
  const targets = handles.map((handle) => readlink(`/proc/self/fd/${handle}`).catch(() => ''))
  return (await Promise.all(targets)).filter((target) => target.startsWith(parent))
}

describe.runIf(process.platform === 'linux')('a writer whose end fails', () => {
  test.each(ENDS)('with %s, of a new upload, leaves no open file and no lease', async (end) => {
    const storage = fsStorage({ directory, fsync: 'never' })
    const writer = await storage.openWriter('a', PERSIST)
    await writer.write(0, [Buffer.from('abc')])
    await writer.write(0, [Buffer.from('A')])
    await blockRecord()
    expect(await leases()).toHaveLength(1)

    await expect(writer[end]()).rejects.toMatchObject(BLOCKED)

    expect(await leases()).toEqual([])
    await expect.poll(openFiles).toEqual([])
  })

  test.each(ENDS.flatMap((end) => [[end, PERSIST] as const, [end, ATOMIC] as const]))(
    'with %s leaves no open file, and the next one writes (%j)',
    async (end, options) => {
      const storage = fsStorage({ directory, fsync: 'never' })
      const first = await storage.openWriter('a', PERSIST)
      await first.write(0, [Buffer.from('abc')])
      await first.commit(BEGUN)
      const writer = await storage.openWriter('a', options)
      await writer.write(3, [Buffer.from('def')])
      if (options === PERSIST) await writer.write(0, [Buffer.from('A')])
      const blocked = await blockRecord()

      await expect(writer[end]()).rejects.toMatchObject(BLOCKED)

      await expect.poll(openFiles).toEqual([])
      for (const name of blocked) await rm(name, { recursive: true })
      const next = await storage.openWriter('a', PERSIST)
      await next.write(0, [Buffer.from('xyz')])
      await next.commit(BEGUN)
      expect(await storage.head('a')).toMatchObject({ complete: false })
    },
  )
})
