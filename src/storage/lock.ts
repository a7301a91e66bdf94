/**
 * Locks: one writer per resource at a time. A newcomer waits, and takes over from a writer whose client has
 * stalled, because a client that has lost its connection resumes with a new request while the server still
 * waits for the old one: TCP reports a peer that has vanished only after minutes.
 */
import { UploadError } from '../errors.ts'

/** How long a newcomer waits, and when it takes over. */
export interface AcquireOptions {
  /**
   * Longest wait for a writer whose client is active, in milliseconds. Beyond it: 409 `ERR_LOCKED`. A newcomer
   * that takes over waits longer, because the writer has to store its bytes first.
   */
  readonly wait: number
  /** A holder that has waited this many milliseconds for its client is revoked; with 0, any holder. */
  readonly stall: number
}

/** The right to write to one resource, which the holder has until it calls `release`. */
export interface Lock {
  /** A newcomer takes over: the holder stops reading from its client, keeps or rolls back, and releases. */
  readonly isRevoked: boolean
  /**
   * Another process has taken the lock, because this one was halted for too long. The holder must not write
   * any more, and checks this before each change. A locker that never loses a lock leaves the member out.
   */
  readonly isLost?: boolean
  /**
   * Sets the listener that is called, once, when the lock is revoked. If it is revoked already, the listener is
   * called at once, so that no revocation is missed between `acquire` and this call.
   */
  onRevoke(listener: () => void): void
  /** Called when the holder starts waiting for its client: only a waiting holder can be stalled. */
  idle(): void
  /** Called when bytes of the client have arrived, or when the holder works without its client. */
  busy(): void
  /** Releases the lock to the newcomer that has waited longest. Does nothing the second time. */
  release(): void
}

/** Gives locks. An app whose processes share a storage may implement it over a shared service. */
export interface Locker {
  /**
   * Waits for the lock of `key`. The lock is never shared, and a revoked holder keeps it until it releases:
   * two writers at once would mix their bytes.
   *
   * @throws UploadError `ERR_LOCKED` (409 with `Retry-After`) when the wait is over.
   */
  acquire(key: string, options: AcquireOptions): Promise<Lock>
}

/**
 * A revoked holder has at least this many milliseconds to store its bytes and release. Without it a newcomer
 * with a short wait would revoke the holder and give up before the holder can answer, so that neither writes.
 */
const LEAST_GRACE = 1000

/** The holder of a lock, and the newcomers in the order of their arrival. */
interface Queue {
  holder: Holder
  readonly waiters: Waiter[]
}

/** Locks that hold within this process. */
export function memoryLocker(): Locker {
  return new MemoryLocker()
}

class MemoryLocker implements Locker {
  /** The queues of the keys whose lock is held. */
  readonly #queues = new Map<string, Queue>()

  acquire(key: string, options: AcquireOptions): Promise<Lock> {
    const queue = this.#queues.get(key)
    if (queue !== undefined) return waitInLine(queue, options)
    const holder = this.#createHolder(key)
    this.#queues.set(key, { holder, waiters: [] })
    return Promise.resolve(holder)
  }

  #createHolder(key: string): Holder {
    return new Holder((holder) => this.#release(key, holder))
  }

  /** Hands the lock to the next newcomer, synchronously: a request in between would find it free. */
  #release(key: string, holder: Holder): void {
    const queue = this.#queues.get(key)
    if (queue?.holder !== holder) return
    const next = queue.waiters.shift()
    if (next === undefined) {
      this.#queues.delete(key)
      return
    }
    queue.holder = this.#createHolder(key)
    next.give(queue.holder)
    for (const waiter of [...queue.waiters]) waiter.noteNewHolder()
  }
}

const LOCKERS = new WeakMap<object, Locker>()

/** The locker of a storage for which the app gives none. Storages on the same data share one. */
export function lockerOf(storage: { readonly lockScope?: object }): Locker {
  const scope = storage.lockScope ?? storage
  const locker = LOCKERS.get(scope) ?? memoryLocker()
  LOCKERS.set(scope, locker)
  return locker
}

/** A lock that is held. */
class Holder implements Lock {
  isRevoked = false
  /** Since when the holder has been waiting for its client, by `performance.now()`; null while it works. */
  idleSince: number | null = null
  #listener = (): void => undefined
  readonly #onRelease: (holder: Holder) => void

  constructor(onRelease: (holder: Holder) => void) {
    this.#onRelease = onRelease
  }

  onRevoke(listener: () => void): void {
    this.#listener = listener
    if (this.isRevoked) listener()
  }

  revoke(): void {
    this.isRevoked = true
    this.#listener()
  }

  idle(): void {
    this.idleSince = performance.now()
  }

  busy(): void {
    this.idleSince = null
  }

  release(): void {
    this.#onRelease(this)
  }
}

/** Resolves when the lock is handed over to this newcomer. */
function waitInLine(queue: Queue, options: AcquireOptions): Promise<Holder> {
  return new Promise((resolve, reject) => {
    const waiter = new Waiter(queue, options, { resolve, reject })
    queue.waiters.push(waiter)
    waiter.check()
  })
}

/** How the wait of a newcomer ends. */
interface Ending {
  readonly resolve: (holder: Holder) => void
  readonly reject: (reason: UploadError) => void
}

/** A newcomer that waits. Its one timer runs until the next moment at which anything can change. */
class Waiter {
  readonly #queue: Queue
  readonly #options: AcquireOptions
  readonly #ending: Ending
  #deadline: number
  #timer: ReturnType<typeof setTimeout> | undefined
  #hasEnded = false

  constructor(queue: Queue, options: AcquireOptions, ending: Ending) {
    this.#queue = queue
    this.#options = options
    this.#ending = ending
    this.#deadline = performance.now() + options.wait
  }

  /** Revokes a holder that has stalled, gives up when the wait is over, or sets the timer for either. */
  check(): void {
    const { wait, stall } = this.#options
    const { holder } = this.#queue
    const now = performance.now()
    // A holder that works can't stall before it has been idle for the whole stall time.
    const stallsAt = stall === 0 ? now : (holder.idleSince ?? now) + stall
    if (stallsAt <= now && !holder.isRevoked) {
      this.#deadline = Math.max(this.#deadline, now + Math.max(wait, LEAST_GRACE))
      holder.revoke()
    }
    // The holder may have released within `revoke`, and this newcomer be the next holder.
    if (this.#hasEnded) return
    if (now >= this.#deadline) {
      this.#giveUp()
      return
    }
    const next = stallsAt > now ? Math.min(stallsAt, this.#deadline) : this.#deadline
    this.#timer = setTimeout(() => this.check(), Math.ceil(next - now))
  }

  /** Hands over the lock. */
  give(holder: Holder): void {
    this.#end()
    this.#ending.resolve(holder)
  }

  /** Another newcomer has got the lock. With a positive stall time its timer is set early enough already. */
  noteNewHolder(): void {
    if (this.#options.stall > 0) return
    clearTimeout(this.#timer)
    this.check()
  }

  #giveUp(): void {
    this.#end()
    this.#queue.waiters.splice(this.#queue.waiters.indexOf(this), 1)
    this.#ending.reject(
      new UploadError('ERR_LOCKED', {
        detail: `another request is writing; waited ${this.#options.wait} ms`,
        headers: { 'Retry-After': '1' },
      }),
    )
  }

  #end(): void {
    this.#hasEnded = true
    clearTimeout(this.#timer)
  }
}
