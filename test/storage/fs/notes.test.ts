import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { beforeEach, expect, onTestFinished, test } from 'vitest'

import type { ChangeNotes } from '../../../src/storage/adapter.ts'
import { fsStorage } from '../../../src/storage/fs.ts'

let directory = ''
let notes: ChangeNotes

beforeEach(() => {
  const parent = mkdtempSync(path.join(tmpdir(), 'partial-upload-notes-'))
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }))
  directory = path.join(parent, 'store')
  notes = open()
})

function open(fsync: 'complete' | 'never' = 'complete'): ChangeNotes {
  const { notes: opened } = fsStorage({ directory, fsync })
  if (opened === undefined) throw new Error('the file store has notes')
  return opened
}

async function list(): Promise<readonly string[]> {
  const keys: string[] = []
  for await (const key of notes.list()) keys.push(key)
  return keys.toSorted()
}

const staging = () => path.join(directory, '.partial-upload')
const notePath = () => {
  const name = readdirSync(staging()).find((entry) => entry.endsWith('.note')) ?? ''
  return path.join(staging(), name)
}

test.each(['complete', 'never'] as const)(
  'a note replaces another one with fsync %s',
  async (fsync) => {
    notes = open(fsync)

    await notes.write('folder/a', 'first')
    await notes.write('folder/a', 'x'.repeat(5000))
    await notes.write('b', 'other')

    expect(await notes.read('folder/a')).toBe('x'.repeat(5000))
    expect(await list()).toEqual(['b', 'folder/a'])
  },
)

test('a removed note is gone, and can be removed again', async () => {
  await notes.write('a', 'note')

  await notes.remove('a')
  await notes.remove('a')

  expect([await notes.read('a'), await list()]).toEqual([null, []])
})

test('a note is not a resource', async () => {
  await notes.write('a', 'note')

  const storage = fsStorage({ directory })
  expect(await storage.head('a')).toBeNull()
  expect(readdirSync(directory)).toEqual(['.partial-upload'])
})

test('a list does not create the directory', async () => {
  expect(await list()).toEqual([])
  expect(existsSync(directory)).toBe(false)
})

test.each(['', '[]', 'null', '{"key":"a"}', '{"key":"a","note":1}'])(
  'a damaged file reads as no note: %j',
  async (text) => {
    await notes.write('a', 'note')
    writeFileSync(notePath(), text)

    expect([await notes.read('a'), await list()]).toEqual([null, []])
  },
)

test('a note under the name of another key is not listed', async () => {
  await notes.write('a', 'note')
  writeFileSync(notePath(), readFileSync(notePath(), 'utf8').replace('"a"', '"b"'))

  expect(await list()).toEqual([])
})
