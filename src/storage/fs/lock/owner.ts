/** Names of lock owners, from which other processes learn whether the owning process still runs. */

import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { isMainThread } from 'node:worker_threads'
import { errorCode } from '../io.ts'

/** Whether an owner runs; `unknown` for a process in another namespace or on another machine. */
export type Liveness = 'alive' | 'dead' | 'unknown'

interface ProcessId {
  /**
   * The scope in which a process number and a start time identify one process: one boot of one system, and in
   * it one PID namespace, because each container has its own.
   */
  readonly place: string
  /** When the process was started. */
  readonly start: string
}

/**
 * Null where /proc does not show this process, and in a worker thread: the thread may end while its process
 * still runs, so that the process number says nothing about the owner.
 */
const THIS_PROCESS = isMainThread ? identifyProcess() : null

const SELF =
  THIS_PROCESS === null ? '- - -' : `${THIS_PROCESS.place} ${process.pid} ${THIS_PROCESS.start}`

/**
 * Makes the name of an owner in this process, which is used only once. It has less than 60 bytes, because
 * ext4 stores the target of such a link in the inode: a lock can be taken, and a file removed, on a full disk.
 */
export function newOwner(): string {
  return `${SELF} ${randomBytes(12).toString('base64url')}`
}

/** The unique part of the name of an owner, which is valid in a file name. */
export function ownerId(owner: string): string {
  return owner.slice(owner.lastIndexOf(' ') + 1)
}

/** Returns whether the process of an owner still runs. */
export function livenessOf(owner: string): Liveness {
  const [place, number, start] = owner.split(' ')
  if (THIS_PROCESS === null || place !== THIS_PROCESS.place) return 'unknown'
  const pid = Number(number)
  if (!exists(pid)) return 'dead'
  try {
    const found = statOf(pid)
    // The number may have been reused by another process, which has another start time.
    return found.start === start && !isOver(pid, found) ? 'alive' : 'dead'
  } catch {
    // The process has just ended, or /proc hides the processes of other users (hidepid). In the second case
    // the number may have been reused by one of those, so that only signs of life can decide.
    return 'unknown'
  }
}

function identifyProcess(): ProcessId | null {
  try {
    // A process in a PID namespace of its own may still have the /proc of the outer namespace, in which its
    // number belongs to another process.
    if (readlinkSync('/proc/self') !== String(process.pid)) return null
    const { start } = statOf(process.pid)
    return start === undefined ? null : { place: placeOfProcess(), start }
  } catch {
    return null // Only Linux has /proc, and a container may lack it.
  }
}

function placeOfProcess(): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  const spaces = ['pid', 'time'].map((kind) => readlinkSync(`/proc/self/ns/${kind}`))
  // The host name is included because virtual machines that were copied while running share the rest.
  const place = [hostname(), boot, ...spaces].join('/')
  return createHash('sha256').update(place).digest('base64url').slice(0, 16)
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return errorCode(error) !== 'ESRCH'
  }
}

interface Stat {
  readonly state: string | undefined
  /** When the process was started, in ticks since the start of the system. */
  readonly start: string | undefined
}

/** The third and the 22nd field (proc(5)); the second one, the name, may hold anything. */
function statOf(pid: number): Stat {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { state: fields[0], start: fields[19] }
}

/**
 * Returns whether a process is a zombie, which stays until its parent has waited for it. It must have no other
 * thread, because a thread may still be in the middle of a write.
 */
function isOver(pid: number, { state }: Stat): boolean {
  return (state === 'Z' || state === 'X') && readdirSync(`/proc/${pid}/task`).length < 2
}
