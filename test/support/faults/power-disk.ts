/** Disks of their own, in a file, whose power can be cut: what was not flushed is gone then. */
import { execFile, execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
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

/** What is new after the loss: the boot of the system, or only the mount of the disk. */
export type Restart = (typeof RESTARTS)[number]

export const RESTARTS = ['boot', 'mount'] as const

const MAKE: Readonly<Record<FileSystem, readonly string[]>> = {
  ext4: ['mkfs.ext4', '-q', '-F'],
  xfs: ['mkfs.xfs', '-q', '-f'],
}

/** How a disk is made. */
export interface DiskOptions {
  /** In MiB; xfs takes no less than 300. */
  readonly size?: number
  /** Where the file with the disk is. */
  readonly parent?: string
}

/** A mounted disk, which goes with the end of the test. */
export class Disk {
  /** Where it is mounted, as its servers see it and nobody else. */
  readonly directory: string
  readonly #fileSystem: FileSystem
  readonly #image: string
  readonly #namespace: number

  private constructor(fileSystem: FileSystem, directory: string, image: string, namespace: number) {
    this.#fileSystem = fileSystem
    this.directory = directory
    this.#image = image
    this.#namespace = namespace
  }

  static async make(fileSystem: FileSystem, options: DiskOptions = {}): Promise<Disk> {
    const { size = 320, parent = MEMORY } = options
    const place = newDirectory(parent)
    const directory = path.join(place, 'mnt')
    const image = path.join(place, 'disk.img')
    mkdirSync(directory)
    makeFileSystem(fileSystem, image, size)
    const disk = new Disk(fileSystem, directory, image, await newNamespace())
    disk.#mount()
    return disk
  }

  /** Where this process can look at the disk. */
  get window(): string {
    return `/proc/${this.#namespace}/root${this.directory}`
  }

  /** Commands of the shell that let a server see the disk. */
  get shell(): string {
    return `exec nsenter -m -t ${this.#namespace} -- "$@"`
  }

  /** Whether the file system has met an error after which it lets nobody write. */
  get isReadOnly(): boolean {
    const mounts = readFileSync(`/proc/${this.#namespace}/mounts`, 'utf8').split('\n')
    const options = mounts
      .map((line) => line.split(' '))
      .find(([, at]) => at === this.directory)?.[3]
    return options?.split(',').some((option) => /^(emergency_)?ro$/.test(option)) ?? false
  }

  /**
   * Mounts the disk anew. The commands of the shell let the next server see it. With a `boot` the next
   * server sees a new boot of the system too; without one, as after the loss of a volume, it sees the
   * same boot, device number and mount id as the last one.
   */
  restart(loss: Restart = 'boot'): string {
    this.remount()
    if (loss === 'mount') return this.shell
    const script = path.join(path.dirname(this.directory), `boot-${randomUUID()}.mjs`)
    writeFileSync(script, newBoot(randomUUID()))
    return `export NODE_OPTIONS='--import ${script}'\n${this.shell}`
  }

  /** Mounts the disk anew: nothing of it is left in memory. */
  remount(): void {
    execFileSync('nsenter', [...this.#inside(), 'umount', this.directory])
    this.#mount()
  }

  /** Writes everything that is there to the disk. */
  async flush(): Promise<void> {
    await run('nsenter', [...this.#inside(), 'sync', '-f', this.directory])
  }

  /** Nothing reaches the disk from now on. */
  async cutPower(loss: Loss = 'all'): Promise<void> {
    const command = loss === 'all' ? 'shutdown' : 'shutdown -f'
    await run('nsenter', [...this.#inside(), 'xfs_io', '-x', '-c', command, this.directory])
  }

  /** Has an ext4 meet an error in itself, after which it lets nobody write. */
  async becomeReadOnly(): Promise<void> {
    const script = `mount -o remount,errors=remount-ro "$0" &&
      echo test >/sys/fs/ext4/$(basename "$(findmnt -n -o SOURCE "$0")")/trigger_fs_error`
    await run('nsenter', [...this.#inside(), 'sh', '-c', script, this.directory])
  }

  #mount(): void {
    // The loop device goes with the mount. ext4 would flush everything every few seconds.
    const options = this.#fileSystem === 'ext4' ? 'loop,commit=300' : 'loop'
    const command = ['mount', '-o', options, this.#image, this.directory]
    execFileSync('nsenter', [...this.#inside(), ...command])
  }

  #inside(): readonly string[] {
    return ['-m', '-t', String(this.#namespace), '--']
  }
}

/** Mounts a disk where every process sees it, this one too; the end of the test unmounts it. */
export function newLoopMount(fileSystem: FileSystem, size: number): string {
  const place = newDirectory(MEMORY)
  const directory = path.join(place, 'mnt')
  const image = path.join(place, 'disk.img')
  makeFileSystem(fileSystem, image, size)
  mkdirSync(directory)
  execFileSync('mount', ['-o', 'loop', image, directory])
  onTestFinished(() => void execFileSync('umount', ['-l', directory]))
  return directory
}

function makeFileSystem(fileSystem: FileSystem, image: string, size: number): void {
  const [program = '', ...options] = MAKE[fileSystem]
  writeFileSync(image, '')
  truncateSync(image, size * 1024 * 1024)
  execFileSync(program, [...options, image])
}

/**
 * Begins a namespace of mounts, and tells the process that holds it: no other process of the system
 * can keep a disk from being unmounted, and every mount in it goes when this process has ended.
 */
async function newNamespace(): Promise<number> {
  const script = ['-m', '--propagation', 'private', 'sh', '-c', 'echo ready; read line']
  const holder = spawn('unshare', script, { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void holder.kill('SIGKILL'))
  await once(holder.stdout, 'data')
  return holder.pid ?? 0
}

/** A module that has the system give itself a new name, as it does at each start. */
function newBoot(name: string): string {
  return `
    import fs from 'node:fs'
    import { syncBuiltinESMExports } from 'node:module'
    const read = fs.readFileSync
    fs.readFileSync = (file, ...rest) =>
      file === '/proc/sys/kernel/random/boot_id' ? '${name}' : read(file, ...rest)
    syncBuiltinESMExports()`
}

/** Why the power of no such disk can be cut here; null if it can. */
export function noPowerCut(fileSystem: FileSystem): string | null {
  const make = MAKE[fileSystem].join(' ')
  const script = `d=$(mktemp -d) && truncate -s 320M "$d/i" && ${make} "$d/i" && mkdir "$d/m" &&
    unshare -m sh -c 'mount -o loop "$0/i" "$0/m" && xfs_io -x -c shutdown "$0/m"' "$d"; e=$?
    rm -r "$d"; exit $e`
  return reasonAgainst(`needs root, ${make.split(' ', 1)[0]}, loop devices and xfs_io`, () => {
    execFileSync('sh', ['-c', script], { stdio: 'ignore' })
  })
}
