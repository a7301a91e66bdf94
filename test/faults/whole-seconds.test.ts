/** A file system that counts whole seconds: two files in one second can have the same times. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, renameSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'

import { describe, expect, it, onTestFinished, vi } from 'vitest'

import { fsStorage } from '../../src/storage/fs.ts'
import type { ResourceState, StorageAdapter } from '../../src/storage/adapter.ts'
import { FINISHED } from '../../src/storage/contract/check.ts'
import { newDirectory, reasonAgainst, title } from '../support/faults/server.ts'

/** Inodes of 128 bytes have no room for parts of a second, nor for the time of birth. */
function mountWholeSeconds(parent: string): string {
  const image = path.join(parent, 'disk.img')
  const directory = path.join(parent, 'mnt')
  writeFileSync(image, '')
  truncateSync(image, 8 * 1024 * 1024)
  execFileSync('mkfs.ext4', ['-q', '-F', '-I', '128', image], { stdio: 'ignore' })
  mkdirSync(directory)
  execFileSync('mount', ['-o', 'loop', image, directory], { stdio: 'ignore' })
  return directory
}

const NO_DISK = reasonAgainst('needs mkfs.ext4 and loop mounts', () => {
  const script =
    'd=$(mktemp -d) && cd "$d" && truncate -s 8M i && mkfs.ext4 -q -F -I 128 i && mkdir m && mount -o loop i m && umount m; e=$?; cd /; rm -r "$d"; exit $e'
  execFileSync('sh', ['-c', script], { stdio: 'ignore' })
})

const STATE: ResourceState = { ...FINISHED, completeLength: 3, contentType: 'text/plain' }

/**
 * Replaces a file several times, as another program does, within the second in which it was made.
 * Stops when its inode number and times are those of the first file, and returns whether they are.
 */
function replaceWithinTheSecond(file: string): boolean {
  const first = statSync(file)
  for (let count = 0; count < 8; count += 1) {
    writeFileSync(`${file}.new`, `v${count}!`)
    renameSync(`${file}.new`, file)
    const { ino, ctimeMs } = statSync(file)
    if (ctimeMs !== first.ctimeMs) throw new Error('the second is over')
    if (ino === first.ino) return true
  }
  return false
}

/** Tries again when a second ends in the middle. */
const WITHIN_A_SECOND = { timeout: 60_000 }

describe.skipIf(NO_DISK !== null)(title('a file system that counts seconds', NO_DISK), () => {
  function start(): { directory: string; storage: StorageAdapter } {
    const directory = mountWholeSeconds(newDirectory())
    onTestFinished(() => void execFileSync('umount', ['-l', directory]))
    return { directory, storage: fsStorage({ directory, fsync: 'never' }) }
  }

  it('a file that another program replaces twice in a second has another etag', async () => {
    const { directory, storage } = start()
    const file = path.join(directory, 'a')
    await storage.head('a')

    const [first, isAlike, last] = await vi.waitFor(async () => {
      writeFileSync(file, 'abc')
      return [await storage.head('a'), replaceWithinTheSecond(file), await storage.head('a')]
    }, WITHIN_A_SECOND)

    expect(isAlike).toBe(true)
    expect(last?.etag).not.toBe(first?.etag)
  })

  it('a file that has not changed for seconds has one etag', async () => {
    const { directory, storage } = start()
    await storage.head('a')
    writeFileSync(path.join(directory, 'a'), 'abc')

    await vi.waitFor(
      async () => {
        const etags = [await storage.head('a'), await storage.head('a')].map((info) => info?.etag)
        expect(etags[0]).toBe(etags[1])
      },
      { timeout: 20_000 },
    )
  })

  it('a file that replaces a finished upload at once is not served as the upload', async () => {
    const { directory, storage } = start()
    const file = path.join(directory, 'a')
    await storage.head('a')

    const [uploaded, isAlike, found] = await vi.waitFor(async () => {
      const options = { transaction: 'atomic', replace: true, initial: STATE } as const
      const writer = await storage.openWriter('a', options)
      await writer.write(0, [Buffer.from('abc')])
      return [await writer.commit(STATE), replaceWithinTheSecond(file), await storage.head('a')]
    }, WITHIN_A_SECOND)

    expect(isAlike).toBe(false)
    expect(found).toMatchObject({ contentType: null, size: 3 })
    expect(found?.etag).not.toBe(uploaded.etag)
  })
})
