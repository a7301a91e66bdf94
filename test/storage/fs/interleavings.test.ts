/**
 * Opens a resource while a writer changes it, in every order of the reader's calls and the
 * writer's.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { UploadError } from '../../../src/errors.ts'
import type { ResourceState, StorageAdapter, Writer } from '../../../src/storage/adapter.ts'
import { BEGUN, FINISHED } from '../../../src/storage/contract/check.ts'
import { fsStorage } from '../../../src/storage/fs.ts'
import { hookCalls, interleave } from '../../support/storage/interleave.ts'

const UNDONE = { transaction: 'atomic', replace: false } as const

interface Change {
  readonly base: ResourceState
  readonly transaction: 'atomic' | 'persist'
  readonly replace?: boolean
  readonly position: number
  readonly end: (writer: Writer) => Promise<unknown>
  /** The results that a reader may get. */
  readonly versions: readonly string[]
}

const CHANGES: Readonly<Record<string, Change>> = {
  'an atomic append is rolled back': {
    base: BEGUN,
    transaction: 'atomic',
    position: 6,
    end: (writer) => writer.rollback(),
    versions: ['abcdef'],
  },
  'an atomic append is committed': {
    base: BEGUN,
    transaction: 'atomic',
    position: 6,
    end: (writer) => writer.commit(BEGUN),
    versions: ['abcdef', 'abcdefXYZ'],
  },
  'a persist append is rolled back': {
    base: BEGUN,
    transaction: 'persist',
    position: 6,
    end: (writer) => writer.rollback(),
    versions: ['abcdef', 'abcdefXYZ', 'changed'],
  },
  'an upload is completed': {
    base: BEGUN,
    transaction: 'persist',
    position: 6,
    end: (writer) => writer.commit(FINISHED),
    versions: ['abcdef', 'abcdefXYZ'],
  },
  'a finished file is replaced': {
    base: FINISHED,
    transaction: 'atomic',
    replace: true,
    position: 0,
    end: (writer) => writer.commit(FINISHED),
    versions: ['abcdef', 'XYZ'],
  },
  'a finished file is reopened': {
    base: FINISHED,
    transaction: 'atomic',
    position: 6,
    end: (writer) => writer.commit(BEGUN),
    versions: ['abcdef', 'abcdefXYZ'],
  },
}

let hooks: { readonly restore: () => void }
let directory: string
let storage: StorageAdapter

beforeAll(async () => {
  hooks = await hookCalls()
})

afterAll(() => hooks.restore())

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'interleavings-'))
  storage = fsStorage({ directory, fsync: 'never' })
})

afterEach(() => rm(directory, { recursive: true }))

async function open(key: string, { transaction, replace = false }: Change): Promise<Writer> {
  return storage.openWriter(key, { transaction, replace, initial: BEGUN })
}

async function store(key: string, state: ResourceState): Promise<void> {
  const writer = await storage.openWriter(key, {
    transaction: 'persist',
    replace: false,
    initial: BEGUN,
  })
  await writer.write(0, [Buffer.from('abcdef')])
  await writer.commit(state)
  if (state.complete) return
  // A second rollback leaves the record exactly as the first one did.
  const undone = await storage.openWriter(key, { ...UNDONE, initial: BEGUN })
  await undone.write(6, [Buffer.from('XYZ')])
  await undone.rollback()
}

async function view(key: string): Promise<string> {
  const reader = await storage.openReader(key)
  if (reader === null) return 'absent'
  try {
    return await text(reader.read(0, reader.info.size))
  } catch (error) {
    if (error instanceof UploadError && error.code === 'ERR_CONFLICT') return 'changed'
    throw error
  } finally {
    await reader.close()
  }
}

/** The writer writes before one call of the reader, and ends before another. */
async function tryOrder(key: string, change: Change, write: number, end: number) {
  await store(key, change.base)
  const writer = await open(key, change)
  const steps = new Map([
    [write, () => writer.write(change.position, [Buffer.from('XYZ')])],
    [end, () => change.end(writer)],
  ])
  return interleave(() => view(key), steps)
}

describe('a reader finds a whole version while', () => {
  it.each(Object.entries(CHANGES))('%s', async (_, change) => {
    const found = new Map<string, string>()
    for (let write = 1, calls = 1; write <= calls; write += 1) {
      for (let end = write + 1; end <= calls + 1; end += 1) {
        const run = await tryOrder(`${write}-${end}`, change, write, end)
        found.set(`write before call ${write}, end before call ${end}`, run.result)
        calls = run.calls
      }
    }

    const wrong = [...found].filter(([, result]) => !change.versions.includes(result))
    expect(wrong).toEqual([])
  })
})
