/**
 * Locks: one writer per resource at a time. A newcomer waits, and takes over from a writer whose client has
 * stalled, because a client that has lost its connection resumes with a new request while the server still
 * waits for the old one.
 */
import { UploadError } from '../errors.ts'

/** How long a newcomer waits, and when it takes over. */
export interface AcquireOptions {
  /** Longest wait for an active writer, in milliseconds. Beyond it: 409 `ERR_LOCKED`. */
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
  /** Sets the listener that is called, once, when the lock is revoked. */
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
   * Waits for the lock of `key`.
   *
   * @throws UploadError `ERR_LOCKED` (409 with `Retry-After`) when the wait is over.
   */
  acquire(key: string, options: AcquireOptions): Promise<Lock>
}

/** A revoked holder has at least this many milliseconds to store its bytes and release. */
const LEAST_GRACE = 1000

interface Holder {
  isRevoked: boolean
  listener: () => void
  idleSince: number | null
}

interface Queue {
  holder: Holder
  readonly waiters: Waiter[]
}

interface Waiter {
  /** Hands over the lock. */
  readonly give: (holder: Holder) => void
  /** Reports that another newcomer has got the lock. */
  readonly pass: () => void
}

/** Locks that hold within this process. */
export function memoryLocker(): Locker {
  const queues = new Map<string, Queue>()

  async function acquire(key: string, options: AcquireOptions): Promise<Lock> {
    const queue = queues.get(key)
    if (queue !== undefined) return lockOf(key, await waitInLine(queue, options))
    const holder = createHolder()
    queues.set(key, { holder, waiters: [] })
    return lockOf(key, holder)
  }

  function lockOf(key: string, holder: Holder): Lock {
    return {
      get isRevoked() {
        return holder.isRevoked
      },
      onRevoke: (listener) => {
        holder.listener = listener
        if (holder.isRevoked) listener()
      },
      idle: () => {
        holder.idleSince = performance.now()
      },
      busy: () => {
        holder.idleSince = null
      },
      release: () => release(key, holder),
    }
  }

  function release(key: string, holder: Holder): void {
    const queue = queues.get(key)
    if (queue?.holder !== holder) return
    const next = queue.waiters.shift()
    if (next === undefined) {
      queues.delete(key)
      return
    }
    queue.holder = createHolder()
    next.give(queue.holder)
    for (const waiter of queue.waiters) waiter.pass()
  }

  return { acquire }
}

const LOCKERS = new WeakMap<object, Locker>()

/** The locker of a storage for which the app gives none. Storages on the same data share one. */
export function lockerOf(storage: { readonly lockScope?: object }): Locker {
  const scope = storage.lockScope ?? storage
  const locker = LOCKERS.get(scope) ?? memoryLocker()
  LOCKERS.set(scope, locker)
  return locker
}

function createHolder(): Holder {
  return { isRevoked: false, listener: () => undefined, idleSince: null }
}

/** Resolves when this newcomer gets the lock. One timer runs, until the next moment that can change something. */
async function waitInLine(queue: Queue, { wait, stall }: AcquireOptions): Promise<Holder> {
  const { promise, resolve, reject } = withResolvers<Holder>()
  let deadline = performance.now() + wait
  let timer: ReturnType<typeof setTimeout> | undefined

  function look(): void {
    const now = performance.now()
    const { holder } = queue
    const due = stall === 0 ? now : (holder.idleSince ?? now) + stall
    if (due <= now && !holder.isRevoked) {
      holder.isRevoked = true
      holder.listener()
      // The holder still has to store the bytes that have arrived before it can release.
      deadline = Math.max(deadline, now + Math.max(wait, LEAST_GRACE))
    }
    if (now >= deadline) {
      giveUp()
      return
    }
    timer = setTimeout(look, Math.ceil(Math.min(deadline, due > now ? due : deadline) - now))
  }

  function giveUp(): void {
    queue.waiters.splice(queue.waiters.indexOf(waiter), 1)
    reject(
      new UploadError('ERR_LOCKED', {
        detail: `another request is writing; waited ${wait} ms`,
        headers: { 'Retry-After': '1' },
      }),
    )
  }

  function pass(): void {
    // With a positive stall time the new holder can't stall before the timer that is set already.
    if (stall > 0) return
    clearTimeout(timer)
    look()
  }

  const waiter = { give: resolve, pass }
  queue.waiters.push(waiter)
  look()
  try {
    return await promise
  } finally {
    clearTimeout(timer)
  }
}

interface Resolvers<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (reason: Error) => void
}

/** `Promise.withResolvers`, which Node 20 lacks. */
function withResolvers<T>(): Resolvers<T> {
  let resolve: Resolvers<T>['resolve'] = () => undefined
  let reject: Resolvers<T>['reject'] = () => undefined
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
