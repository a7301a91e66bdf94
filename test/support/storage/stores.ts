/** The stores of the package. Contract, model, wire tests and fuzzer run over each row. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { StorageAdapter } from '../../../src/storage/adapter.ts'
import { fsStorage } from '../../../src/storage/fs.ts'
import { memoryStorage } from '../../../src/storage/memory.ts'

export type StoreName = 'memory' | 'fs' | 'layers'

type Open = (directory: string) => StorageAdapter

export interface Store {
  readonly name: StoreName
  /**
   * Opens the store without fsyncs. A file store keeps its files in `directory`, where a later one
   * finds them.
   */
  readonly open: Open
  /** The settings that the contract is checked with; the first one is the default. */
  readonly variants: Readonly<Record<string, Open>>
}

/** Each patch of a finished file becomes a layer, however small the file is. */
const LAYERS = { patch: 'layers', layersAbove: 0, rebuildAfter: 0 } as const

export const STORES: readonly Store[] = [
  {
    name: 'memory',
    open: () => memoryStorage(),
    variants: { memory: () => memoryStorage() },
  },
  {
    name: 'fs',
    open: (directory) => fsStorage({ directory, fsync: 'never' }),
    variants: {
      'fs, fsync: complete': (directory) => fsStorage({ directory }),
      'fs, fsync: segment': (directory) => fsStorage({ directory, fsync: 'segment' }),
      'fs, fsync: never': (directory) => fsStorage({ directory, fsync: 'never' }),
    },
  },
  {
    name: 'layers',
    open: (directory) => fsStorage({ ...LAYERS, directory, fsync: 'never' }),
    variants: {
      'layers, fsync: complete': (directory) => fsStorage({ ...LAYERS, directory }),
    },
  },
]

/** Opens the store with this name. */
export function openStore(name: StoreName, directory: string): StorageAdapter {
  const store = STORES.find((row) => row.name === name)
  if (store === undefined) throw new Error(`there is no store ${name}`)
  return store.open(directory)
}

/** A file system in memory if the system has one, for tests that do not need a disk. */
export const FAST_DIRECTORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** Runs `work` with an empty directory below `parent`, and removes that afterwards. */
export async function withDirectory<T>(
  parent: string,
  work: (directory: string) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(parent, 'partial-upload-'))
  try {
    return await work(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
