/** Who holds a lock: a process, and whether it still runs. */

import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { isMainThread } from 'node:worker_threads'
import { errorCode } from '../io.ts'

/** What is known of an owner: only of a process that this one sees can it be said for sure. */
export type Liveness = 'alive' | 'dead' | 'unknown'

interface ProcessId {
  /**
   * Where a process number and a start time mean one process: a system since its start, and in it a
   * namespace, as each container has its own.
   */
  readonly place: string
  /** When the process was started. */
  readonly start: string
}

/** Null where /proc does not show this process, and in a worker thread, which ends before its process. */
const THIS_PROCESS = isMainThread ? identifyProcess() : null

const SELF =
  THIS_PROCESS === null ? '- - -' : `${THIS_PROCESS.place} ${process.pid} ${THIS_PROCESS.start}`

/**
 * Names an owner in this process; no two are ever named alike. Less than 60 bytes: a link to it then
 * takes no room of its own on the disk, so that a file can be removed from a full one.
 */
export function newOwner(): string {
  return `${SELF} ${randomBytes(12).toString('base64url')}`
}

/** The part of an owner's name that it shares with no other, and that a file name can hold. */
export function ownerId(owner: string): string {
  return owner.slice(owner.lastIndexOf(' ') + 1)
}

/** Tells whether the process of an owner still runs, or may run. */
export function livenessOf(owner: string): Liveness {
  const [place, number, start] = owner.split(' ')
  if (THIS_PROCESS === null || place !== THIS_PROCESS.place) return 'unknown'
  const pid = Number(number)
  if (!exists(pid)) return 'dead'
  try {
    const found = statOf(pid)
    // The number may have gone to another process since.
    return found.start === start && !isOver(pid, found) ? 'alive' : 'dead'
  } catch {
    // It has ended meanwhile, or /proc hides the processes of other users (hidepid). The number may
    // have gone to one of those, so that only signs of life can show whether the owner still runs.
    return 'unknown'
  }
}

function identifyProcess(): ProcessId | null {
  try {
    // In a PID namespace of its own that still has the /proc of the one outside, the numbers there are
    // those of other processes.
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
  // The name, since machines that were copied while they ran have the rest in common.
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

/** A process that was killed stays until its parent has looked, and while a thread still writes. */
function isOver(pid: number, { state }: Stat): boolean {
  return (state === 'Z' || state === 'X') && readdirSync(`/proc/${pid}/task`).length < 2
}
