/**
 * Identifies the page cache that holds bytes which were written and not fsynced yet. The length of
 * a data file includes such bytes, so that it counts only while that cache exists. When the cache
 * is lost, the file system may have stored the length without the bytes, which then read as zeros;
 * ext4 and XFS do that.
 *
 * The cache of a mounted file system is lost with the kernel, and with the mount: a volume may be
 * detached, or its file system shut down after an error, and be mounted again without a reboot. The
 * id of the boot is therefore not enough to identify the cache, and the device number and the id of
 * the mount may be reused by the next mount.
 *
 * Linux creates new nodes in /sys for each mount of ext4, XFS and F2FS, for each device, and for
 * the writeback of each mount of NFS and FUSE. The inode number of a node is not reused before the
 * next boot, and all containers of one kernel see the same nodes. These inode numbers identify the
 * cache.
 */

import { lstatSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import type { Folders } from './paths.ts'

/** A random number that the kernel creates at each boot. */
const BOOT_ID = '/proc/sys/kernel/random/boot_id'

/** Names in /sys/fs of the file systems that have a node for each mount. */
const FILE_SYSTEMS = ['ext4', 'xfs', 'f2fs']

/**
 * Seconds by which the start time of one kernel may differ between two processes. Linux computes
 * that time from the current clock, which NTP may have adjusted between the two calls.
 */
const TOLERANCE = 2

/**
 * Identifies a boot of a kernel. A container manager may mount a boot id of its own over that of
 * the kernel, in which case the start time of the kernel is compared. The time alone is not enough:
 * on a machine without a battery for its clock, each boot may begin at the same time.
 */
interface Kernel {
  readonly boot: string
  /**
   * Whether `boot` is the id of the kernel, and not one that a container manager has mounted over
   * it.
   */
  readonly isOwn: boolean
  /** Start time of the kernel, in seconds since 1970. */
  readonly started: number
}

/** Null except on Linux, because other kernels have no boot id. */
const KERNEL = readKernel()

/**
 * Returns a text that identifies the page cache of the staging directory; empty where that is not
 * possible, in which case the length of a file always counts. It is computed at each call, because
 * a process may outlive a mount. The system answers from memory.
 */
export function cacheOf({ staging }: Pick<Folders, 'staging'>): string {
  const found = KERNEL === null ? undefined : statSync(staging, { throwIfNoEntry: false })
  if (KERNEL === null || found === undefined) return ''
  const { boot, isOwn, started } = KERNEL
  return [boot, isOwn ? 'own' : 'other', started, mountOf(found.dev)].join(' ')
}

/**
 * Returns whether two results of `cacheOf`, perhaps from processes in two containers, identify the
 * same page cache. Version 0.1.0 stored the boot id alone, so that only the boot id is compared
 * with such a record.
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

/** Returns the inode numbers of the nodes in /sys that belong to a mount, by its device number. */
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
