/**
 * Names of lock owners. A name identifies the process that has made it, so that another process can
 * find out whether it still runs, and take the lock over if it does not.
 */

import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { isMainThread } from 'node:worker_threads'
import { errorCode } from '../io.ts'

/**
 * Whether the process of an owner runs. `unknown` for a process in another PID namespace or on
 * another machine, whose process number means nothing here.
 */
export type Liveness = 'alive' | 'dead' | 'unknown'

interface ProcessId {
  /**
   * The scope in which a process number and a start time identify one process: one boot of one
   * system, and in it one PID namespace, because each container counts its processes from 1.
   */
  readonly place: string
  /** When the process was started, in clock ticks since the boot, as /proc gives it. */
  readonly start: string
}

/**
 * Null where /proc does not show this process, and in a worker thread: the thread may end while its
 * process still runs, so that the process number says nothing about the thread that owns the lock.
 */
const THIS_PROCESS = isMainThread ? identifyProcess() : null

/**
 * Prefix of every owner name that is made here: place, process number and start time. `- - -`
 * matches no place, so that other processes report the owner as `unknown`.
 */
const SELF =
  THIS_PROCESS === null ? '- - -' : `${THIS_PROCESS.place} ${process.pid} ${THIS_PROCESS.start}`

/**
 * Makes a new name of an owner in this process, with 96 random bits. It has less than 60 bytes,
 * because ext4 then stores the target of a symbolic link in the inode and needs no block for it: a
 * lock can be taken, and a file can be removed, on a full disk.
 */
export function newOwner(): string {
  return `${SELF} ${randomBytes(12).toString('base64url')}`
}

/** Returns the random part of a name, which is unique and valid in a file name. */
export function ownerId(owner: string): string {
  return owner.slice(owner.lastIndexOf(' ') + 1)
}

/**
 * Returns whether the process of an owner still runs. Never `dead` without proof, because a
 * newcomer takes the lock from a dead owner at once.
 */
export function livenessOf(owner: string): Liveness {
  const [place, number, start] = owner.split(' ')
  if (THIS_PROCESS === null || place !== THIS_PROCESS.place) return 'unknown'
  const pid = Number(number)
  if (!exists(pid)) return 'dead'
  try {
    const found = statOf(pid)
    // The system may have given the number to another process, which has another start time.
    return found.start === start && !isOver(pid, found) ? 'alive' : 'dead'
  } catch {
    // The process has ended after `exists`, or /proc hides the processes of other users (mount
    // option `hidepid`). In the second case the number may belong to another user's process by now,
    // so that only the time of the owner's link can decide.
    return 'unknown'
  }
}

function identifyProcess(): ProcessId | null {
  try {
    // A process in a PID namespace of its own may still see the /proc of the outer namespace, in
    // which its number belongs to another process. To compare with that process would prove
    // nothing.
    if (readlinkSync('/proc/self') !== String(process.pid)) return null
    const { start } = statOf(process.pid)
    return start === undefined ? null : { place: placeOfProcess(), start }
  } catch {
    return null // Only Linux has /proc, and a container may lack it.
  }
}

/** Returns a short hash of the scope, because the name of an owner has to be short. */
function placeOfProcess(): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  const spaces = ['pid', 'time'].map((kind) => readlinkSync(`/proc/self/ns/${kind}`))
  // The host name is included because a virtual machine that was copied while it ran has the same
  // boot id and the same namespaces as its copy.
  const place = [hostname(), boot, ...spaces].join('/')
  return createHash('sha256').update(place).digest('base64url').slice(0, 16)
}

/**
 * Returns whether a process with this number exists. Signal 0 checks that without an effect. EPERM
 * says that the process exists and belongs to another user.
 */
function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return errorCode(error) !== 'ESRCH'
  }
}

/** What `/proc/<pid>/stat` says about a process. */
interface Stat {
  /** One letter, such as `R` for running, `T` for halted and `Z` for a zombie. */
  readonly state: string | undefined
  /** When the process was started, in clock ticks since the boot. */
  readonly start: string | undefined
}

/**
 * Reads the third and the 22nd field (proc(5)). The second field, the name of the program, is in
 * parentheses and may hold spaces and parentheses, so that the fields are counted from the last
 * one.
 */
function statOf(pid: number): Stat {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { state: fields[0], start: fields[19] }
}

/**
 * Returns whether a process is a zombie, which has ended and stays listed until its parent has
 * waited for it. A zombie with another thread counts as running, because its main thread has ended,
 * but the other thread may be in the middle of a write.
 */
function isOver(pid: number, { state }: Stat): boolean {
  return (state === 'Z' || state === 'X') && readdirSync(`/proc/${pid}/task`).length < 2
}
