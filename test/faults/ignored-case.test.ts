/**
 * A file system that ignores the case of letters: NTFS here, and likewise exFAT, CIFS and ext4 with
 * casefold.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { text } from 'node:stream/consumers'

import { describe, expect, it, onTestFinished } from 'vitest'

import type { StorageAdapter } from '../../src/storage/adapter.ts'
import { FINISHED, REPLACE } from '../../src/storage/contract/check.ts'
import { fsStorage } from '../../src/storage/fs.ts'
import { newDirectory, reasonAgainst, title } from '../support/faults/server.ts'

const NO_NTFS = reasonAgainst('needs ntfs-3g and the right to mount', () => {
  const script =
    'd=$(mktemp -d) && cd "$d" && truncate -s 4M i && mkntfs -F -Q i && mkdir m && lowntfs-3g -o ignore_case i m && umount m; e=$?; cd /; rm -r "$d"; exit $e'
  execFileSync('sh', ['-c', script], { stdio: 'ignore' })
})

function mount(): string {
  const parent = newDirectory()
  const image = path.join(parent, 'disk.img')
  const directory = path.join(parent, 'mnt')
  writeFileSync(image, '')
  truncateSync(image, 8 * 1024 * 1024)
  execFileSync('mkntfs', ['-F', '-Q', image], { stdio: 'ignore' })
  mkdirSync(directory)
  execFileSync('lowntfs-3g', ['-o', 'ignore_case', image, directory], { stdio: 'ignore' })
  onTestFinished(() => void execFileSync('umount', [directory]))
  return directory
}

async function store(storage: StorageAdapter, key: string): Promise<void> {
  const writer = await storage.openWriter(key, REPLACE)
  try {
    await writer.write(0, [Buffer.from(`content of ${key}`)])
    await writer.commit(FINISHED)
  } catch (error) {
    await writer.rollback()
    throw error
  }
}

describe.skipIf(NO_NTFS !== null)(title('where the case of letters is ignored', NO_NTFS), () => {
  it.each([
    ['a', 'A'],
    ['d/x', 'D/x'],
    ['d/x', 'd/X'],
    ['d/x', 'D/y'],
    ['d/e/x', 'd/E/f/x'],
  ])('%s stays unchanged, and %s is refused', async (key, other) => {
    const directory = mount()
    const storage = fsStorage({ directory, fsync: 'never' })
    await store(storage, key)
    const before = await storage.head(key)

    const refused = { code: 'ERR_KEY' }
    await expect(storage.head(other)).rejects.toMatchObject(refused)
    await expect(storage.openReader(other)).rejects.toMatchObject(refused)
    await expect(store(storage, other)).rejects.toMatchObject(refused)
    await expect(storage.remove(other)).rejects.toMatchObject(refused)

    const reader = await storage.openReader(key)
    expect(reader?.info).toEqual(before)
    expect(reader && (await text(reader.read(0, reader.info.size)))).toBe(`content of ${key}`)
    await reader?.close()
    expect(readdirSync(directory)).toHaveLength(2)
  })
})
