/**
 * One writer per resource. A newcomer waits for a while, and takes over from a writer whose client has
 * fallen silent.
 */
import { UploadError } from '../errors.ts'

/** How long a newcomer waits, and when it takes over. */
export interface AcquireOptions {
  /** Longest wait for a writer that is alive, in milliseconds. Beyond it: 409 `ERR_LOCKED`. */
  readonly wait: number
  /** A holder that has waited this many milliseconds for its client is revoked; 0: any holder is. */
  readonly stall: number
}

/** The right to write to one resource; the object itself is the proof of it. */
export interface Lock {
  /** A newcomer takes over: the holder is to stop reading its client, keep or roll back, and release. */
  readonly isRevoked: boolean
  /**
   * The right has gone to another process, since this one stood still for too long: the holder is to
   * write nothing more. Looked at before every change; a locker that never loses one leaves it out.
   */
  readonly isLost?: boolean
  /** Sets what is called, once, when the lock is revoked. */
  onRevoke(listener: () => void): void
  /** Tells that the holder waits for its client from now on; only then can it count as stalled. */
  idle(): void
  /** Tells that the client has delivered, or that the holder is at work on its own. */
  busy(): void
  /** Gives the right back and wakes the first in line. Does nothing the second time. */
  release(): void
}

/** Gives locks. Implement it over a shared service where several processes write to one storage. */
export interface Locker {
  /**
   * Waits for the lock of `key`.
   *
   * @throws UploadError `ERR_LOCKED` (409 with `Retry-After`) when the wait is over.
   */
  acquire(key: string, options: AcquireOptions): Promise<Lock>
}

/** A revoked holder has at least this many milliseconds to let go. */
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
  /** Tells that another one has got the lock. */
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

/** The locker of a storage for which the app gives none: all that store to the same place share it. */
export function lockerOf(storage: { readonly lockScope?: object }): Locker {
  const scope = storage.lockScope ?? storage
  const locker = LOCKERS.get(scope) ?? memoryLocker()
  LOCKERS.set(scope, locker)
  return locker
}

function createHolder(): Holder {
  return { isRevoked: false, listener: () => undefined, idleSince: null }
}

/** Resolves when the line has come to this waiter. One timer sleeps until something can change. */
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
      // The holder still has to store what arrived before it can let go.
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
    // Any other newcomer has set its timer for earlier than the new holder can stall.
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
