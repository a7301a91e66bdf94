/**
 * Locks that hold between the processes of one machine, beside the files that they protect: a link
 * for each lock, which names its owner, and whose time the owner renews while it lives.
 */

import { createHash, randomUUID } from 'node:crypto'
import { readlinkSync, unlinkSync } from 'node:fs'
import { lstat, lutimes, mkdir, readlink, rmdir, symlink, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { UploadError } from '../errors.ts'
import { memoryLocker, type AcquireOptions, type Lock, type Locker } from '../lock.ts'
import { errorCode, ifThere } from './fs-io.ts'
import { HIDDEN } from './fs-place.ts'

/** Where the locks are. */
export interface FsLockerOptions {
  /** The `directory` of the `fsStorage` that all processes share. */
  readonly directory: string
}

/** How often an owner shows that it lives, in milliseconds. */
const HEARTBEAT = 1000
/** An owner that has not shown it for so long, in milliseconds, is dead. */
const LIFE = 5000
/** How often a newcomer looks whether another process has let go, in milliseconds. */
const INTERVAL = 50

/** Where a process number means the same process: two containers may share a host's name. */
const HOST = `${hostname()}/${processNamespace()}`

/**
 * Gives locks to several processes of one machine that share one `fsStorage`.
 *
 * A newcomer takes over from a stalled writer of its own process; where another process writes, it
 * waits and then gets 409 `ERR_LOCKED` with `Retry-After`. The lock of a process that was killed is
 * taken at once, that of one on another host of a shared file system after 5 s.
 *
 * @throws TypeError when the option is wrong.
 */
export function fsLocker({ directory }: FsLockerOptions): Locker {
  if (typeof directory !== 'string' || directory === '') {
    throw new TypeError(`directory must be a path, not ${JSON.stringify(directory)}`)
  }
  const folder = join(resolve(directory), HIDDEN, 'locks')
  const local = memoryLocker()
  return {
    async acquire(key, options) {
      const lock = await local.acquire(key, options)
      const path = join(folder, createHash('sha256').update(key).digest('base64url'))
      try {
        return withLink(lock, await acquireLink(path, options))
      } catch (error) {
        lock.release()
        throw error
      }
    },
  }
}

/** A link that this process owns. */
interface Link {
  readonly path: string
  /** What it points to: host, process and a random part. */
  readonly owner: string
}

/** The links that this process owns and keeps alive. */
const owned = new Set<Link>()
let heart: NodeJS.Timeout | null = null

function withLink(lock: Lock, link: Link): Lock {
  owned.add(link)
  heart ??= setInterval(beat, HEARTBEAT).unref()
  return {
    ...lock,
    get isRevoked() {
      return lock.isRevoked
    },
    release: () => {
      if (owned.delete(link)) removeOwn(link)
      if (owned.size === 0 && heart !== null) clearInterval(heart)
      if (owned.size === 0) heart = null
      lock.release()
    },
  }
}

/** A link that can't be renewed is gone, or will count as dead: nobody could act on the error. */
function beat(): void {
  const now = new Date()
  for (const { path } of owned) void lutimes(path, now, now).catch(() => {})
}

/** At once, so that the next writer of this process does not meet it. */
function removeOwn({ path, owner }: Link): void {
  try {
    if (readlinkSync(path) === owner) unlinkSync(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

async function acquireLink(path: string, { wait }: AcquireOptions): Promise<Link> {
  const link = { path, owner: `${HOST} ${process.pid} ${randomUUID()}` }
  const deadline = performance.now() + wait
  while (!(await isMade(link))) {
    if (await recover(path)) continue
    if (performance.now() >= deadline) throw locked(wait)
    await new Promise((done) => setTimeout(done, INTERVAL))
  }
  return link
}

async function isMade({ path, owner }: Link): Promise<boolean> {
  try {
    await symlink(owner, path)
    return true
  } catch (error) {
    const code = errorCode(error)
    if (code === 'EEXIST') return false
    if (code !== 'ENOENT') throw error
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    return isMade({ path, owner })
  }
}

/**
 * Removes the link of a dead owner; false if it lives. Only who has made the guard directory may
 * remove the link of another, and looks again before: two newcomers can't take one for dead twice.
 */
async function recover(path: string): Promise<boolean> {
  if (!(await isDead(path))) return false
  const guard = `${path}.recovery`
  try {
    await mkdir(guard)
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
    const found = await ifThere(lstat(guard))
    if (found !== null && isOld(found.mtimeMs)) await ifThere(rmdir(guard))
    return false
  }
  try {
    if (await isDead(path)) await ifThere(unlink(path))
    return true
  } finally {
    await ifThere(rmdir(guard))
  }
}

async function isDead(path: string): Promise<boolean> {
  const owner = await ifThere(readlink(path))
  const found = await ifThere(lstat(path))
  if (owner === null || found === null) return false
  const [host, pid] = owner.split(' ')
  return isOld(found.mtimeMs) || (host === HOST && !isRunning(Number(pid)))
}

function isOld(mtimeMs: number): boolean {
  return Date.now() - mtimeMs > LIFE
}

function processNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return '' // Only Linux has them.
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return errorCode(error) !== 'ESRCH'
  }
}

function locked(wait: number): UploadError {
  return new UploadError('ERR_LOCKED', {
    detail: `another process is writing; waited ${wait} ms`,
    headers: { 'Retry-After': '1' },
  })
}
