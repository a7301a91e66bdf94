/**
 * Locks between processes that share a directory. Each lock is a chain of symbolic links
 * (`chain.ts`) in the staging directory. The owner of a lock renews its link while it holds the
 * lock, because a process in another container can't see whether the owner still runs. A newcomer
 * that has to wait asks the owner to release the lock if the owner's client has stalled
 * (`release-request.ts`).
 */

import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { UploadError } from '../../../errors.ts'
import { memoryLocker, type AcquireOptions, type Lock, type Locker } from '../../lock.ts'
import { errorCode, reportFull } from '../io.ts'
import { answerReleaseRequests, endReleaseRequest, requestRelease } from './release-request.ts'
import { HeldLock } from './held-lock.ts'
import { chainOf, takeFree, takeOver, untilGone } from './chain.ts'
import type { Link, OwnLink } from './chain.ts'
import { LOCK_LIFE, Watch } from './liveness.ts'
import { livenessOf } from './owner.ts'
import { sweepLocks } from './sweep-locks.ts'
import { noteTakeover } from './takeover-note.ts'
import { STAGING } from '../paths.ts'

/** Which directory the locks protect. */
export interface FsLockerOptions {
  /** The `directory` of the `fsStorage` that all processes share. */
  readonly directory: string
}

/** Milliseconds between two beats. In each beat an owner answers the release requests. */
const BEAT = 250
/**
 * Beats between two renewals of a link. An owner renews its links once a second, so that four
 * renewals may be late before other processes treat the owner as dead (`LOCK_LIFE`).
 */
const BEATS_PER_RENEWAL = 4
/**
 * Milliseconds in which an owner in another process notices a release request, stores the bytes
 * that have arrived, and releases the lock.
 */
const GRACE = 1000
/**
 * Milliseconds between two checks whether the owner is alive. Such a check reads several files, so
 * that it costs more than a check whether the link exists.
 */
const LIVENESS_INTERVAL = 1000

/**
 * Creates a locker for several processes that share one `fsStorage`.
 *
 * A newcomer takes over from a writer in any of these processes whose client has stalled. It takes
 * the lock of a killed process at once, and never the lock of a process on the same system that is
 * only halted. An owner in another container or on another machine counts as dead after 5 s without
 * a renewal of its link. Because such an owner may only be halted, the next writer copies the
 * upload to a new file, which the earlier owner can't reach (`takeover-note.ts`).
 *
 * A newcomer whose `stall` is at most its `wait` waits up to a second longer for an owner in
 * another process, which needs that time to notice the request and to store what has arrived.
 *
 * @throws TypeError when `directory` is not a path.
 */
export function fsLocker({ directory }: FsLockerOptions): Locker {
  if (typeof directory !== 'string' || directory === '') {
    throw new TypeError(`directory must be a path, not ${JSON.stringify(directory)}`)
  }
  return new FsLocker(resolve(directory))
}

/** A lock that this process holds. */
interface Held {
  readonly key: string
  readonly link: OwnLink
}

class FsLocker implements Locker {
  readonly #root: string
  readonly #locks: string
  readonly #requests: string
  /**
   * Lets one request of this process at a time compete for the link, in the order of their arrival.
   * The links exclude other processes only: they name a process, not a request.
   */
  readonly #local = memoryLocker()
  readonly #watch = new Watch(LOCK_LIFE)
  /** The locks that this process holds, by the name of the lock: the hash of the key. */
  readonly #held = new Map<string, Held>()
  /** Links whose release has failed. Each beat tries again. */
  readonly #unreleased = new Set<OwnLink>()
  #prepared: Promise<void> | null = null
  #beatTimer: NodeJS.Timeout | null = null
  #beats = 0

  constructor(root: string) {
    this.#root = root
    this.#locks = join(root, STAGING, 'locks')
    this.#requests = join(root, STAGING, 'calls')
  }

  async acquire(key: string, options: AcquireOptions): Promise<Lock> {
    const deadline = performance.now() + options.wait + graceFor(options)
    const lock = await this.#local.acquire(key, options)
    const name = createHash('sha256').update(key).digest('base64url')
    try {
      const link = await reportFull(this.#waitForLink(name, options, deadline))
      return this.#hold(name, { key, link }, lock)
    } catch (error) {
      lock.release()
      throw error
    }
  }

  /**
   * Waits until the lock is free, its owner is dead, or the owner releases it on request. Between
   * two checks of the owner, one synchronous call checks whether the link exists. A file watcher
   * would cost a handle for each newcomer, and reports nothing on NFS.
   */
  async #waitForLink(
    name: string,
    { wait, stall }: AcquireOptions,
    deadline: number,
  ): Promise<OwnLink> {
    const path = join(this.#locks, name)
    let request: string | null = null
    try {
      let link = await this.#takeFree(path)
      while (true) {
        link ??= await this.#succeed(path)
        if (link !== null) return link
        const now = performance.now()
        if (now >= deadline) throw locked(wait)
        request ??= await requestRelease(this.#requests, name, stall)
        await untilGone(path, Math.min(now + LIVENESS_INTERVAL, deadline))
      }
    } finally {
      if (request !== null) await endReleaseRequest(request)
    }
  }

  /**
   * Takes the lock if it is free or its owner is dead. Returns null otherwise, and also if another
   * newcomer was faster.
   */
  async #succeed(path: string): Promise<OwnLink | null> {
    const chain = chainOf(path)
    const last = chain.at(-1)
    if (last !== undefined && (await this.#watch.check(path, last)) !== 'dead') return null
    this.#watch.forget(path)
    return this.#takeOver(path, chain)
  }

  /**
   * Takes over the lock. If the owner is not proven dead, it may only be halted and write later,
   * and the takeover is noted for the next writer. The note is written first: if this process is
   * killed between the two steps, the next writer makes a copy that was not needed. In the other
   * order it would write into the file that the earlier owner may still write to.
   */
  async #takeOver(path: string, chain: readonly Link[]): Promise<OwnLink | null> {
    const isProven = chain.every(({ owner }) => livenessOf(owner) === 'dead')
    if (!isProven) await noteTakeover(this.#root, basename(path))
    return takeOver(path, chain)
  }

  async #takeFree(path: string): Promise<OwnLink | null> {
    await this.#prepare()
    try {
      return await takeFree(path)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      // The staging directory was removed while the process runs. The root is not created again,
      // because its disk may be unmounted: the upload would land on the disk below the mount point.
      await this.#makeFolders()
      return takeFree(path)
    }
  }

  /** Creates the directories and sweeps old locks, at the first call and again after a failure. */
  async #prepare(): Promise<void> {
    this.#prepared ??= this.#makeRoot()
    try {
      await this.#prepared
    } catch (error) {
      this.#prepared = null
      throw error
    }
  }

  async #makeRoot(): Promise<void> {
    await mkdir(this.#root, { recursive: true })
    await this.#makeFolders()
    await this.#sweep()
  }

  async #makeFolders(): Promise<void> {
    for (const path of [join(this.#root, STAGING), this.#locks]) {
      await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
        if (errorCode(error) !== 'EEXIST') throw error
      })
    }
  }

  /**
   * Releases the locks of dead owners. Runs again after `LOCK_LIFE` if the process of some owner
   * can't be checked, such as an owner in a container that was killed: it is never dead at the
   * first check.
   */
  async #sweep(): Promise<void> {
    const isUndecided = await sweepLocks(this.#locks, this.#watch, (path, chain) =>
      this.#takeOver(path, chain),
    )
    if (isUndecided) setTimeout(() => void this.#sweep(), LOCK_LIFE + BEAT).unref()
  }

  /** Makes the lock of the caller from the link, and starts the beat that renews the link. */
  #hold(name: string, held: Held, lock: Lock): Lock {
    this.#held.set(name, held)
    this.#beatTimer ??= setInterval(() => this.#beat(), BEAT).unref()
    return new HeldLock(lock, held.link, () => {
      // A second call must not release the lock of the next holder of the same key.
      if (this.#held.get(name) !== held) return
      this.#held.delete(name)
      this.#release(held.link)
      lock.release()
    })
  }

  /**
   * Runs every `BEAT` milliseconds while this process holds a lock. Repeats failed releases, renews
   * the links, and answers the requests of other processes.
   */
  #beat(): void {
    this.#beats += 1
    for (const link of this.#unreleased) this.#release(link)
    // A failed renewal is ignored: if the link was removed, `isLost` reports it, and if the disk
    // fails, other processes treat this owner as dead after a while.
    if (this.#beats % BEATS_PER_RENEWAL === 0) {
      for (const { link } of this.#held.values()) void link.renew().catch(() => {})
    }
    void answerReleaseRequests(this.#requests, (name, stall) =>
      this.#revokeIfStalled(name, stall),
    ).catch(() => {})
  }

  /**
   * Revokes the holder of a lock for another process, if the holder's client has stalled. The call
   * acts as a newcomer of this process that does not wait: the local locker then revokes a stalled
   * holder, and hands the lock to this call, which releases it at once.
   */
  #revokeIfStalled(name: string, stall: number): void {
    const held = this.#held.get(name)
    if (held === undefined) return
    void this.#local.acquire(held.key, { wait: 0, stall }).then(
      (lock) => lock.release(),
      () => {}, // The holder has not stalled, and keeps the lock.
    )
  }

  /**
   * Releases a link. A failed release is repeated in the next beat, because other processes see
   * that this process is alive, and would wait for the lock. Stops the beat with the last link.
   */
  #release(link: OwnLink): void {
    try {
      link.release()
      this.#unreleased.delete(link)
    } catch {
      this.#unreleased.add(link)
    }
    if (this.#held.size + this.#unreleased.size > 0 || this.#beatTimer === null) return
    clearInterval(this.#beatTimer)
    this.#beatTimer = null
  }
}

/**
 * Milliseconds that a newcomer waits beyond `wait` for an owner in another process. The owner
 * checks for release requests every `BEAT` milliseconds, and has to store its bytes before it
 * releases. Without this time a newcomer whose `wait` equals its `stall` would give up at the
 * moment at which the owner's client begins to count as stalled.
 */
function graceFor({ wait, stall }: AcquireOptions): number {
  return stall <= wait ? GRACE : 0
}

function locked(wait: number): UploadError {
  return new UploadError('ERR_LOCKED', {
    detail: `another process is writing; waited ${wait} ms`,
    headers: { 'Retry-After': '1' },
  })
}
