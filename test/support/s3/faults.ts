/**
 * Faults of the bucket in memory, as a network or an overloaded store causes them for single
 * requests.
 */
import { BucketError } from '../../../src/storage/s3/bucket.ts'
import type { Bucket } from '../../../src/storage/s3/bucket.ts'

/** A request of the interface. */
export type Operation = Exclude<keyof Bucket, 'scope' | 'presign'>

/** A fault of one request. */
export type BucketFault =
  /** The store answers 503 and changes nothing. */
  | { readonly kind: 'refuse' }
  /** The request takes effect, and its answer is lost. */
  | { readonly kind: 'lose' }
  /** The caller gets a failure at once, and the request takes effect with `deliver`. */
  | { readonly kind: 'late' }
  /** The request takes effect now, and again with `deliver`, as when a proxy repeats it. */
  | { readonly kind: 'duplicate' }
  /** The request has no effect and no answer until the signal of the caller aborts it. */
  | { readonly kind: 'hang' }
  /** The request takes effect, and is not answered until the signal of the caller aborts it. */
  | { readonly kind: 'silence' }
  /** The body of a `get` ends with a failure after `after` bytes. */
  | { readonly kind: 'cut'; readonly after: number }
  /** Rejects with this error, without an effect. */
  | { readonly kind: 'error'; readonly error: BucketError }
  /** Calls `act` before the effect, as if another process came in between. */
  | { readonly kind: 'before'; readonly act: () => unknown }
  /** Calls `act` after the effect and before the answer. */
  | { readonly kind: 'after'; readonly act: () => unknown }

/** The requests that a fault applies to. */
export interface Aim {
  readonly operation: Operation
  /** Text that the key or the prefix must contain. */
  readonly key?: string | undefined
  /** Number of matching requests without the fault before the first one that has it. @default 0 */
  readonly skip?: number | undefined
  /** Number of requests that have the fault. @default 1 */
  readonly times?: number | undefined
}

/** A request that was made, whether it succeeded or failed. */
export interface BucketRequest {
  readonly operation: Operation
  readonly key: string
}

/** A fault that waits for its requests. */
interface Plan {
  readonly aim: Aim
  readonly fault: BucketFault
  skip: number
  times: number
}

/** The pending faults of one bucket, and the requests that it has received. */
export class Faults {
  /** All requests, in the order of their calls. */
  readonly requests: BucketRequest[] = []
  readonly #plans: Plan[] = []
  readonly #late: (() => void)[] = []
  #cut: number | null = null

  /** The next matching requests meet `fault`. */
  add(aim: Aim, fault: BucketFault): this {
    this.#plans.push({ aim, fault, skip: aim.skip ?? 0, times: aim.times ?? 1 })
    return this
  }

  /** Drops the faults that were not used. */
  clear(): void {
    this.#plans.length = 0
  }

  /** Applies the late effects in their order. Their answers are lost. */
  deliver(): void {
    for (const effect of this.#late.splice(0)) {
      try {
        effect()
      } catch (error) {
        if (!(error instanceof BucketError)) throw error
      }
    }
  }

  /** Requests of an operation so far. */
  count(operation: Operation): number {
    return this.requests.filter((request) => request.operation === operation).length
  }

  /** Makes one request, whose `effect` is synchronous and therefore atomic. */
  async run<T>(
    operation: Operation,
    key: string,
    signal: AbortSignal | undefined,
    effect: () => T,
  ): Promise<T> {
    this.requests.push({ operation, key })
    const fault = this.#take(operation, key)
    await new Promise((resolve) => setImmediate(resolve))
    if (signal?.aborted === true) throw new BucketError('aborted', null)
    return this.#meet(fault, signal, effect)
  }

  /** The body of the answer that was just made, which a fault may cut. */
  body(bytes: Buffer, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
    const cut = this.#cut
    this.#cut = null
    return stream(bytes, cut, signal)
  }

  async #meet<T>(
    fault: BucketFault | null,
    signal: AbortSignal | undefined,
    effect: () => T,
  ): Promise<T> {
    switch (fault?.kind) {
      case undefined:
        return effect()
      case 'refuse':
        throw new BucketError('unavailable', 'SlowDown')
      case 'lose':
        effect()
        throw new BucketError('unavailable', null)
      case 'late':
        this.#late.push(effect)
        throw new BucketError('unavailable', null)
      case 'duplicate':
        this.#late.push(effect)
        return effect()
      case 'hang':
        return untilAborted(signal)
      case 'silence':
        effect()
        return untilAborted(signal)
      case 'cut':
        this.#cut = fault.after
        return effect()
      case 'error':
        throw fault.error
      case 'before':
        await fault.act()
        return effect()
      case 'after': {
        const result = effect()
        await fault.act()
        return result
      }
    }
  }

  #take(operation: Operation, key: string): BucketFault | null {
    const plan = this.#plans.find(
      ({ aim, times }) => times > 0 && aim.operation === operation && key.includes(aim.key ?? ''),
    )
    if (plan === undefined) return null
    if (plan.skip > 0) {
      plan.skip -= 1
      return null
    }
    plan.times -= 1
    return plan.fault
  }
}

/** Bytes in a chunk of a body. */
const CHUNK = 64 * 1024

async function* stream(
  bytes: Buffer,
  cut: number | null,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  const end = Math.min(cut ?? Infinity, bytes.length)
  for (let start = 0; start < end; start += CHUNK) {
    if (signal?.aborted === true) throw new BucketError('aborted', null)
    // A copy, because the receiver may change its buffers.
    yield Uint8Array.from(bytes.subarray(start, Math.min(start + CHUNK, end)))
  }
  if (cut !== null) throw new BucketError('unavailable', null)
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = (): void => reject(new BucketError('aborted', null))
    if (signal?.aborted === true) abort()
    else signal?.addEventListener('abort', abort, { once: true })
  })
}
