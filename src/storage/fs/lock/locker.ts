/**
 * Locks between processes that share a directory. Each lock is a chain of symbolic links (`chain.ts`) in the
 * staging directory, whose owner renews its link while it holds the lock. A newcomer that has to wait asks
 * the owner to release the lock if its client has stalled (`release-request.ts`).
 */

import { createHash } from 'node:crypto'
import { mkdir, readdir } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { UploadError } from '../../../errors.ts'
import { memoryLocker, type AcquireOptions, type Lock, type Locker } from '../../lock.ts'
import { errorCode, reportFull } from '../io.ts'
import { answerReleaseRequests, endReleaseRequest, requestRelease } from './release-request.ts'
import { chainOf, isThere, remove, takeFree, takeOver } from './chain.ts'
import type { Link, OwnLink } from './chain.ts'
import { LOCK_LIFE, Watch, type Verdict } from './liveness.ts'
import { livenessOf } from './owner.ts'
import { noteTakeover } from './takeover.ts'
import { STAGING } from '../paths.ts'

/** Which directory the locks protect. */
export interface FsLockerOptions {
  /** The `directory` of the `fsStorage` that all processes share. */
  readonly directory: string
}

/** Milliseconds between two beats, in each of which an owner answers release requests. */
const BEAT = 250
/** Beats after which an owner renews its links: once a second, five times within `LOCK_LIFE`. */
const BEATS_PER_RENEWAL = 4
/** Pauses between two checks of a newcomer, in milliseconds; each is twice as long as the one before. */
const FIRST_PAUSE = 10
const LONGEST_PAUSE = 200
/** Milliseconds in which an owner in another process releases a lock that it is asked for. */
const GRACE = 1000
/** Milliseconds between two checks whether the owner is alive, which read several files. */
const LIVENESS_INTERVAL = 1000

/**
 * Gives locks to several processes that share one `fsStorage`.
 *
 * A newcomer takes over from a stalled writer in any of these processes. It takes the lock of a killed process
 * at once, and never the lock of a process that is only halted. An owner in another container or on another
 * machine counts as dead after 5 s without a sign of life. Because it may only be halted, the next writer
 * moves the upload to a new file (`takeover.ts`).
 *
 * A newcomer that may take over within its `wait` waits up to a second longer for an owner in another process,
 * which needs that time to notice the request and to store what has arrived.
 *
 * @throws TypeError when the option is wrong.
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
  /** Lets one request of this process at a time compete for the link, in the order of their arrival. */
  readonly #local = memoryLocker()
  readonly #watch = new Watch(LOCK_LIFE)
  /** The locks of this process, by the name of the lock. */
  readonly #held = new Map<string, Held>()
  /** Links whose release has failed, and is tried again. */
  readonly #left = new Set<OwnLink>()
  #prepared: Promise<void> | null = null
  #heart: NodeJS.Timeout | null = null
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
   * Waits until the lock is free, its owner is dead, or the owner releases it on request. Between two checks of
   * the owner the newcomer only checks whether the link exists, which costs one synchronous call. A file watcher
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

  /** Takes the lock if it is free or its owner is dead; null otherwise. */
  async #succeed(path: string): Promise<OwnLink | null> {
    const chain = chainOf(path)
    const last = chain.at(-1)
    if (last !== undefined && (await this.#watch.check(path, last)) !== 'dead') return null
    this.#watch.forget(path)
    return this.#takeOver(path, chain)
  }

  /**
   * Takes over from a dead owner, or from one that can't be seen, which may only be halted. The note is written
   * first: a process that is killed between the two leaves a needless copy, not a write into a shared file.
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
      // The root is not created again, because its disk may be unmounted.
      await this.#makeFolders()
      return takeFree(path)
    }
  }

  /** Creates the directories and sweeps at the first call, and again after a failure. */
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
   * Releases the locks of dead owners and removes orphaned links. Best effort. Runs again when owners
   * that can't be seen, such as those in a container that was killed, have been silent for long enough.
   */
  async #sweep(): Promise<void> {
    let isUndecided = false
    for (const file of await readdir(this.#locks).catch(() => [])) {
      const verdict = await this.#tidy(file).catch(() => null)
      isUndecided ||= verdict === 'undecided'
    }
    if (isUndecided) setTimeout(() => void this.#sweep(), LOCK_LIFE + BEAT).unref()
  }

  /** Removes a link that no chain leads to, and releases a lock whose owner is dead. */
  async #tidy(file: string): Promise<Verdict | null> {
    const [name = ''] = file.split('.')
    const lock = join(this.#locks, name)
    const chain = chainOf(lock)
    const last = chain.at(-1)
    if (last === undefined || !chain.some(({ path }) => path === join(this.#locks, file))) {
      remove(join(this.#locks, file))
      return null
    }
    const verdict = await this.#watch.check(lock, last)
    if (verdict === 'dead') (await this.#takeOver(lock, chain))?.release()
    return verdict
  }

  /** Makes the lock of the caller, and starts the beat that renews its link. */
  #hold(name: string, held: Held, lock: Lock): Lock {
    this.#held.set(name, held)
    this.#heart ??= setInterval(() => this.#beat(), BEAT).unref()
    return {
      onRevoke: (listener) => lock.onRevoke(listener),
      idle: () => lock.idle(),
      busy: () => lock.busy(),
      get isRevoked() {
        return lock.isRevoked
      },
      get isLost() {
        return held.link.isLost
      },
      release: () => {
        // A second call must not release the lock of the next holder of the same key.
        if (this.#held.get(name) !== held) return
        this.#held.delete(name)
        this.#letGo(held.link)
        lock.release()
      },
    }
  }

  /** Runs a few times a second while this process holds a lock: renews links and answers requests. */
  #beat(): void {
    this.#beats += 1
    for (const link of this.#left) this.#letGo(link)
    // Errors are ignored, because a link that can't be renewed is removed already, or counts as dead.
    if (this.#beats % BEATS_PER_RENEWAL === 0) {
      for (const { link } of this.#held.values()) void link.renew().catch(() => {})
    }
    void answerReleaseRequests(this.#requests, (name, stall) => this.#makeWay(name, stall)).catch(
      () => {},
    )
  }

  /** Acts as a newcomer of this process with no time to wait, which revokes a stalled holder. */
  #makeWay(name: string, stall: number): void {
    const held = this.#held.get(name)
    if (held === undefined) return
    void this.#local.acquire(held.key, { wait: 0, stall }).then(
      (lock) => lock.release(),
      () => {}, // The holder has not stalled.
    )
  }

  /**
   * Releases a link. A failed release is tried again, because other processes see that this process is alive
   * and would wait for it.
   */
  #letGo(link: OwnLink): void {
    try {
      link.release()
      this.#left.delete(link)
    } catch {
      this.#left.add(link)
    }
    if (this.#held.size + this.#left.size > 0 || this.#heart === null) return
    clearInterval(this.#heart)
    this.#heart = null
  }
}

/**
 * How much longer a newcomer waits for an owner in another process, in milliseconds. The owner checks for
 * release requests every `BEAT` milliseconds and has to store its bytes before it releases. Without the
 * grace a newcomer with `wait` equal to `stall` would give up at the moment at which the owner may stop.
 */
function graceFor({ wait, stall }: AcquireOptions): number {
  return stall <= wait ? GRACE : 0
}

/** Waits until a file no longer exists, at the latest until `until`. */
async function untilGone(path: string, until: number): Promise<void> {
  for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    const left = until - performance.now()
    if (left <= 0) return
    await new Promise((done) => setTimeout(done, Math.min(pause, left)))
    if (!isThere(path)) return
  }
}

function locked(wait: number): UploadError {
  return new UploadError('ERR_LOCKED', {
    detail: `another process is writing; waited ${wait} ms`,
    headers: { 'Retry-After': '1' },
  })
}
