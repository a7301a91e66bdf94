/** Disks in files whose power can be cut, which loses everything that was not flushed. */
import { execFile, execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'

import { onTestFinished } from 'vitest'

import { MEMORY, newDirectory, reasonAgainst } from './server.ts'

const run = promisify(execFile)

/** File systems that can be shut down without a flush. */
export const FILE_SYSTEMS = ['ext4', 'xfs'] as const

export type FileSystem = (typeof FILE_SYSTEMS)[number]

/**
 * The bytes that are lost: `all` that were not flushed, or only the data of files, while names,
 * sizes and renames are stored.
 */
export type Loss = 'all' | 'data'

/** The restart after the loss: of the system, or only a new mount of the disk. */
export type Restart = (typeof RESTARTS)[number]

export const RESTARTS = ['boot', 'mount'] as const

const MAKE: Readonly<Record<FileSystem, readonly string[]>> = {
  ext4: ['mkfs.ext4', '-q', '-F'],
  xfs: ['mkfs.xfs', '-q', '-f'],
}

/** How a disk is created. */
export interface DiskOptions {
  /** Size in MiB; xfs needs at least 300. */
  readonly size?: number
  /** Path of the file that holds the disk. */
  readonly parent?: string
}

/** A mounted disk, which the end of the test removes. */
export class Disk {
  /** The path at which only its servers see it mounted. */
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

  /** The path at which this process can read the disk. */
  get window(): string {
    return `/proc/${this.#namespace}/root${this.directory}`
  }

  /** Shell commands that make the disk visible to a server. */
  get shell(): string {
    return `exec nsenter -m -t ${this.#namespace} -- "$@"`
  }

  /** Whether the file system has become read-only after an error. */
  get isReadOnly(): boolean {
    const mounts = readFileSync(`/proc/${this.#namespace}/mounts`, 'utf8').split('\n')
    const options = mounts
      .map((line) => line.split(' '))
      .find(([, at]) => at === this.directory)?.[3]
    return options?.split(',').some((option) => /^(emergency_)?ro$/.test(option)) ?? false
  }

  /**
   * Mounts the disk anew. The commands of the shell let the next server see it. With a `boot` the
   * next server sees a new boot of the system too; without one, as after the loss of a volume, it
   * sees the same boot, device number and mount id as the last one.
   */
  restart(loss: Restart = 'boot'): string {
    this.remount()
    if (loss === 'mount') return this.shell
    const script = path.join(path.dirname(this.directory), `boot-${randomUUID()}.mjs`)
    writeFileSync(script, newBoot(randomUUID()))
    return `export NODE_OPTIONS='--import ${script}'\n${this.shell}`
  }

  /** Remounts the disk, which drops its cache. */
  remount(): void {
    execFileSync('nsenter', [...this.#inside(), 'umount', this.directory])
    this.#mount()
  }

  /** Flushes everything to the disk. */
  async flush(): Promise<void> {
    await run('nsenter', [...this.#inside(), 'sync', '-f', this.directory])
  }

  /** Cuts the power: no write reaches the disk from now on. */
  async cutPower(loss: Loss = 'all'): Promise<void> {
    const command = loss === 'all' ? 'shutdown' : 'shutdown -f'
    await run('nsenter', [...this.#inside(), 'xfs_io', '-x', '-c', command, this.directory])
  }

  /** Causes an error in an ext4, which becomes read-only because of it. */
  async becomeReadOnly(): Promise<void> {
    const script = `mount -o remount,errors=remount-ro "$0" &&
      echo test >/sys/fs/ext4/$(basename "$(findmnt -n -o SOURCE "$0")")/trigger_fs_error`
    await run('nsenter', [...this.#inside(), 'sh', '-c', script, this.directory])
  }

  #mount(): void {
    // The loop device is detached with the mount. Without `commit` ext4 would flush everything
    // every few seconds.
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
 * Creates a mount namespace, and returns the process that holds it: no other process of the system
 * can keep a disk from being unmounted, and every mount in it disappears when this process has
 * ended.
 */
async function newNamespace(): Promise<number> {
  const script = ['-m', '--propagation', 'private', 'sh', '-c', 'echo ready; read line']
  const holder = spawn('unshare', script, { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void holder.kill('SIGKILL'))
  await once(holder.stdout, 'data')
  return holder.pid ?? 0
}

/** Source of a module that makes Node read `bootId` as the boot id, as after a reboot. */
function newBoot(bootId: string): string {
  return `
    import fs from 'node:fs'
    import { syncBuiltinESMExports } from 'node:module'
    const read = fs.readFileSync
    fs.readFileSync = (file, ...rest) =>
      file === '/proc/sys/kernel/random/boot_id' ? '${bootId}' : read(file, ...rest)
    syncBuiltinESMExports()`
}

/** The reason that the power of such disks can't be cut here; null if it can. */
export function noPowerCut(fileSystem: FileSystem): string | null {
  const make = MAKE[fileSystem].join(' ')
  const script = `d=$(mktemp -d) && truncate -s 320M "$d/i" && ${make} "$d/i" && mkdir "$d/m" &&
    unshare -m sh -c 'mount -o loop "$0/i" "$0/m" && xfs_io -x -c shutdown "$0/m"' "$d"; e=$?
    rm -r "$d"; exit $e`
  return reasonAgainst(`needs root, ${make.split(' ', 1)[0]}, loop devices and xfs_io`, () => {
    execFileSync('sh', ['-c', script], { stdio: 'ignore' })
  })
}
