/** Disks of their own, in a file, whose power can be cut: what was not flushed is gone then. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'

import { onTestFinished } from 'vitest'

import { MEMORY, newDirectory, reasonAgainst } from './server.ts'

const run = promisify(execFile)

/** File systems that can be made to lose what they have not flushed. */
export const FILE_SYSTEMS = ['ext4', 'xfs'] as const

export type FileSystem = (typeof FILE_SYSTEMS)[number]

/**
 * What is lost: `all` that was not flushed, or all data that was not, while names, sizes and renames
 * have come to the disk just in time.
 */
export type Loss = 'all' | 'data'

const MAKE: Readonly<Record<FileSystem, readonly string[]>> = {
  ext4: ['mkfs.ext4', '-q', '-F'],
  xfs: ['mkfs.xfs', '-q', '-f'],
}

/** A mounted disk, which the end of the test takes away. */
export class Disk {
  /** Where it is mounted. */
  readonly directory: string
  readonly #image: string

  /** The size is in MiB. */
  constructor(fileSystem: FileSystem, size = 320, parent = MEMORY) {
    const place = newDirectory(parent)
    this.directory = path.join(place, 'mnt')
    this.#image = path.join(place, 'disk.img')
    const [program = '', ...options] = MAKE[fileSystem]
    mkdirSync(this.directory)
    writeFileSync(this.#image, '')
    truncateSync(this.#image, size * 1024 * 1024)
    execFileSync(program, [...options, this.#image])
    onTestFinished(() => this.#unmount())
    this.mount()
  }

  mount(): void {
    // The loop device goes with the mount, whatever becomes of the test.
    execFileSync('mount', ['-o', 'loop', this.#image, this.directory])
  }

  unmount(): void {
    execFileSync('umount', [this.directory])
  }

  /** Writes everything that is there to the disk. */
  async flush(): Promise<void> {
    await run('sync', ['-f', this.directory])
  }

  /** Nothing reaches the disk from now on. */
  async cutPower(loss: Loss = 'all'): Promise<void> {
    const command = loss === 'all' ? 'shutdown' : 'shutdown -f'
    await run('xfs_io', ['-x', '-c', command, this.directory])
  }

  #unmount(): void {
    // A server that is about to be gone may still have files open.
    execFileSync('sh', [
      '-c',
      'while mountpoint -q "$0"; do umount -l "$0" || exit; done',
      this.directory,
    ])
  }
}

/** Why the power of no such disk can be cut here; null if it can. */
export function noPowerCut(fileSystem: FileSystem): string | null {
  const make = MAKE[fileSystem].join(' ')
  const script = `d=$(mktemp -d) && truncate -s 320M "$d/i" && ${make} "$d/i" && mkdir "$d/m" &&
    mount -o loop "$d/i" "$d/m" && xfs_io -x -c shutdown "$d/m"; e=$?
    umount -l "$d/m"; rm -r "$d"; exit $e`
  return reasonAgainst(`needs root, ${make.split(' ', 1)[0]}, loop devices and xfs_io`, () => {
    execFileSync('sh', ['-c', script], { stdio: 'ignore' })
  })
}
