/**
 * Which page cache holds the bytes that were written and not fsynced. The length of a data file counts
 * such bytes only as long as that cache lives: when it is lost, a file system may have stored the
 * length without the bytes, which then read as zeros (ext4 and xfs do that).
 *
 * The cache of a mounted file system is lost with the kernel, and with the mount: a volume may be
 * detached, or its file system shut down after an error, and be mounted again while the kernel lives.
 * The id of the boot does therefore not identify it. Neither do the device number and the id of the
 * mount, which the next mount gets again. Linux makes new nodes in /sys for each mount of ext4, xfs
 * and f2fs, for each device, and for the writeback of each mount of NFS and FUSE, and gives each node
 * an inode number that is not used again before the next boot. All containers of one kernel see the
 * same nodes.
 */

import { lstatSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import type { Folders } from './paths.ts'

const BOOT_ID = '/proc/sys/kernel/random/boot_id'

/** File systems with a node for each mount, by their folder in /sys/fs. */
const FILE_SYSTEMS = ['ext4', 'xfs', 'f2fs']

/** Seconds by which two processes may read the start of one kernel differently. */
const TOLERANCE = 2

/**
 * A kernel since its boot. Container managers may mount a boot id of their own over the kernel's; then
 * the time of the boot has to identify it. The time alone would not do, because a machine without a
 * battery may boot twice at the same time.
 */
interface Kernel {
  readonly boot: string
  /** Whether that is the kernel's own id. */
  readonly isOwn: boolean
  /** When the kernel was started, in seconds since 1970. */
  readonly started: number
}

/** Null where no kernel names its boot: everywhere but on Linux. */
const KERNEL = readKernel()

/**
 * Identifies the page cache of the staging directory; empty where that is not possible, so that only
 * the length of a file shows how many bytes it has. Costs a few calls that the system answers from
 * memory, because a process may outlive a mount.
 */
export function cacheOf({ staging }: Pick<Folders, 'staging'>): string {
  const found = KERNEL === null ? undefined : statSync(staging, { throwIfNoEntry: false })
  if (KERNEL === null || found === undefined) return ''
  const { boot, isOwn, started } = KERNEL
  return [boot, isOwn ? 'own' : 'other', started, mountOf(found.dev)].join(' ')
}

/**
 * Checks whether two descriptions, perhaps by processes in two containers, are of one page cache. Of a
 * description by version 0.1.0, which is the id of the boot alone, only that can be compared.
 */
export function isSameCache(one: string, other: string): boolean {
  if (one === other) return true
  const [a, b] = [one.split(' '), other.split(' ')]
  if (a.length === 1 || b.length === 1) return a[0] === b[0]
  if (a.length !== 4 || b.length !== 4 || a[3] !== b[3]) return false
  if (a[0] === b[0]) return true
  const isCovered = a[1] === 'other' || b[1] === 'other'
  return isCovered && Math.abs(Number(a[2]) - Number(b[2])) <= TOLERANCE
}

function mountOf(device: number): string {
  const id = `${(device >>> 8) & 0xfff}:${(device & 0xff) | ((device >>> 12) & 0xfff00)}`
  const block = `/sys/dev/block/${id}`
  const isBlock = lstatSync(block, { throwIfNoEntry: false }) !== undefined
  const name = isBlock ? basename(readlinkSync(block)) : null
  const nodes = name === null ? [] : FILE_SYSTEMS.map((type) => `/sys/fs/${type}/${name}`)
  const inodes = [block, `/sys/class/bdi/${id}`, ...nodes].map(inodeOf)
  return [id, ...inodes].join('/')
}

function inodeOf(path: string): string {
  return statSync(path, { throwIfNoEntry: false })?.ino.toString(36) ?? '-'
}

function readKernel(): Kernel | null {
  try {
    const boot = readFileSync(BOOT_ID, 'latin1').trim()
    const isOwn = statSync(BOOT_ID).dev === statSync('/proc/self').dev
    const stat = readFileSync('/proc/stat', 'latin1')
    return { boot, isOwn, started: Number(/^btime (\d+)$/m.exec(stat)?.[1] ?? 0) }
  } catch {
    return null
  }
}
