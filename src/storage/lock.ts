/**
 * Locks: at most one writer per resource at a time. A request that finds the lock held (a newcomer)
 * waits, and may take the lock over from a holder whose client has stalled. A client that has lost
 * its connection resumes with a new request, while the server still waits for bytes on the old
 * connection, because TCP reports a peer that has vanished only after minutes. Without the takeover
 * the client would be refused for as long.
 */
import { UploadError } from '../errors.ts'

/** How long `acquire` waits for a lock that is held, and when it revokes the holder. */
export interface AcquireOptions {
  /**
   * Longest wait for a holder whose client is active, in milliseconds. Beyond it: 409 `ERR_LOCKED`.
   * A newcomer that has revoked the holder waits as long again, at least a second, because the
   * holder has to store its bytes before it releases the lock.
   */
  readonly wait: number
  /**
   * A holder that has waited this many milliseconds for its client is revoked. With 0 every holder
   * is revoked, even one that receives bytes.
   */
  readonly stall: number
}

/** The right to write to one resource. The holder has it until it calls `release`. */
export interface Lock {
  /**
   * Whether a newcomer wants to take over. The holder then stops reading from its client, ends its
   * writer by `keep` or `rollback`, and releases the lock. It may still write until it has
   * released.
   */
  readonly isRevoked: boolean
  /**
   * Whether another process has taken the lock, because this process was halted for so long that it
   * counted as dead. The holder must not write any more, since the new holder may be writing
   * already, and checks this before each change. A locker that never loses a lock leaves the member
   * out.
   */
  readonly isLost?: boolean
  /**
   * Sets the listener that is called, once, when the lock is revoked. If the lock is revoked
   * already, the listener is called at once, so that no revocation is missed between `acquire` and
   * this call. A second call replaces the listener.
   */
  onRevoke(listener: () => void): void
  /** Notes that the holder now waits for bytes of its client. Only a waiting holder can stall. */
  idle(): void
  /** Notes that bytes of the client have arrived, or that the holder works without its client. */
  busy(): void
  /**
   * Releases the lock, which goes to the newcomer that has waited longest. A second call does
   * nothing.
   */
  release(): void
}

/**
 * Hands out locks. An app whose processes share a storage may implement it over a shared service,
 * such as a database.
 */
export interface Locker {
  /**
   * Waits for the lock of `key`. The lock is never shared, and a revoked holder keeps it until it
   * releases: two writers at once would mix their bytes in one file.
   *
   * @throws UploadError `ERR_LOCKED` (409 with `Retry-After`) when the wait is over.
   */
  acquire(key: string, options: AcquireOptions): Promise<Lock>
}

/**
 * Milliseconds that a revoked holder has at least to store its bytes and release the lock. Without
 * this minimum, a newcomer with a short wait would revoke the holder and then give up before the
 * holder can release, so that neither of the two requests writes.
 */
const LEAST_GRACE = 1000

/** The holder of one lock, and the newcomers that wait for it in the order of their arrival. */
interface Queue {
  holder: Holder
  readonly waiters: Waiter[]
}

/**
 * Creates a locker for an app of one process. Its locks exclude only writers of the same process.
 */
export function memoryLocker(): Locker {
  return new MemoryLocker()
}

/** Keeps the queues of all keys in memory. A key whose lock is free has no queue. */
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

  /**
   * Hands the lock to the next newcomer in the same tick. If the queue were empty for a tick, a
   * request that arrives in it would find the lock free, and two holders would exist.
   */
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

/** The lockers of the storages in this process, by their `lockScope`. */
const LOCKERS = new WeakMap<object, Locker>()

/**
 * Returns the locker of a storage for which the app gives none: one for each `lockScope`, so that
 * two storages on the same data exclude each other's writers.
 */
export function lockerOf(storage: { readonly lockScope?: object }): Locker {
  const scope = storage.lockScope ?? storage
  const locker = LOCKERS.get(scope) ?? memoryLocker()
  LOCKERS.set(scope, locker)
  return locker
}

/**
 * The lock as its holder sees it, and the state from which a newcomer sees whether the holder
 * stalls.
 */
class Holder implements Lock {
  isRevoked = false
  /** When the holder began to wait for its client, by `performance.now()`; null while it works. */
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

/**
 * Appends a newcomer to the queue. Resolves when it gets the lock, and rejects when its wait is
 * over.
 */
function waitInLine(queue: Queue, options: AcquireOptions): Promise<Holder> {
  return new Promise((resolve, reject) => {
    const waiter = new Waiter(queue, options, { resolve, reject })
    queue.waiters.push(waiter)
    waiter.check()
  })
}

/** The functions of the promise that `acquire` has returned to a newcomer. */
interface Ending {
  readonly resolve: (holder: Holder) => void
  readonly reject: (reason: UploadError) => void
}

/**
 * A newcomer that waits. It has one timer, which fires when the holder may have stalled or when the
 * wait is over, whichever comes first.
 */
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

  /**
   * Revokes the holder if it has stalled, gives up if the wait is over, and otherwise sets the
   * timer to the next moment at which one of the two can be the case.
   */
  check(): void {
    const { wait, stall } = this.#options
    const { holder } = this.#queue
    const now = performance.now()
    // A holder that works now may begin to wait for its client right after this check, so it can't
    // have stalled earlier than after the whole stall time.
    const stallsAt = stall === 0 ? now : (holder.idleSince ?? now) + stall
    if (stallsAt <= now && !holder.isRevoked) {
      this.#deadline = Math.max(this.#deadline, now + Math.max(wait, LEAST_GRACE))
      holder.revoke()
    }
    // `revoke` calls the holder's listener, which may release the lock to this newcomer at once.
    if (this.#hasEnded) return
    if (now >= this.#deadline) {
      this.#giveUp()
      return
    }
    const next = stallsAt > now ? Math.min(stallsAt, this.#deadline) : this.#deadline
    this.#timer = setTimeout(() => this.check(), Math.ceil(next - now))
  }

  /** Makes this newcomer the holder. */
  give(holder: Holder): void {
    this.#end()
    this.#ending.resolve(holder)
  }

  /**
   * Called when another newcomer has got the lock. A newcomer with a stall time of 0 has to revoke
   * the new holder at once. Every other newcomer checks the new holder when its timer fires, at the
   * latest at the end of its wait.
   */
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
