/**
 * Counts work instead of time: how often each block of `src` runs, the steps of patterns, and the
 * bytes and characters that built-in functions go over. The same call counts the same on any
 * machine.
 */
import assert from 'node:assert/strict'

import { BlockCounters } from './precise-coverage.ts'
import { countSteps } from './regexp-steps.ts'

type Method = (this: unknown, ...args: readonly unknown[]) => unknown

/**
 * Number of bytes, characters or elements that a built-in function reads. All other functions that
 * `src` uses take the same time for any size.
 */
type Cost = (
  self: { readonly length: number; readonly size: number },
  args: readonly unknown[],
  result: unknown,
) => number

const whole: Cost = ({ length }) => length
const ofResult: Cost = (_self, _args, result) => sizeOf(result)
const ofArgument: Cost = (_self, [first]) => sizeOf(first)
/** Up to what was found. */
const searched: Cost = ({ length }, [, from], result) => {
  const start = typeof from === 'number' ? from : 0
  return (typeof result === 'number' && result >= 0 ? result : length) - start
}

const TYPED_ARRAY = Object.getPrototypeOf(Uint8Array.prototype) as object

const COSTS: readonly (readonly [holder: object, costs: Readonly<Record<PropertyKey, Cost>>])[] = [
  [
    String.prototype,
    {
      ...{ indexOf: searched, lastIndexOf: whole, includes: whole, search: whole, split: whole },
      ...{ slice: ofResult, substring: ofResult, trim: whole, trimStart: whole, trimEnd: whole },
      ...{ replace: whole, replaceAll: whole, match: whole, matchAll: whole },
      ...{ toLowerCase: whole, toUpperCase: whole, normalize: whole, padStart: ofResult },
      ...{ concat: ofResult, repeat: ofResult, startsWith: ofArgument, endsWith: ofArgument },
    },
  ],
  [
    Array.prototype,
    {
      ...{ indexOf: searched, includes: whole, join: whole, concat: ofResult, slice: ofResult },
      ...{ splice: whole, shift: whole, unshift: whole, reverse: whole, flat: ofResult },
      ...{ map: whole, filter: whole, flatMap: whole, [Symbol.iterator]: whole },
    },
  ],
  [
    TYPED_ARRAY,
    {
      ...{ set: ofArgument, slice: ofResult, fill: whole, indexOf: searched, includes: whole },
      ...{ copyWithin: whole, join: whole, [Symbol.iterator]: whole },
    },
  ],
  [Map.prototype, { [Symbol.iterator]: ({ size }) => size, entries: ({ size }) => size }],
  [Set.prototype, { [Symbol.iterator]: ({ size }) => size, values: ({ size }) => size }],
  [TextDecoder.prototype, { decode: ofArgument }],
  [TextEncoder.prototype, { encode: ofArgument }],
  [Buffer, { concat: ofResult, from: ofResult }],
  [
    globalThis,
    {
      ...{ decodeURIComponent: ofArgument, encodeURIComponent: ofArgument },
      ...{ atob: ofArgument, btoa: ofArgument, BigInt: (_self, [digits]) => sizeOf(digits) ** 2 },
    },
  ],
]

/**
 * Counts the work of calls. A process can have one counter only, because it switches V8's counters
 * on.
 */
export class WorkCounter {
  readonly #blocks = new BlockCounters()

  /** Starts the counters. Must be called before the counted code is loaded. */
  async start(): Promise<void> {
    await this.#blocks.start()
  }

  /** Returns the work of one call. An error of the protocol counts as a result of the call. */
  async measure(call: () => void): Promise<number> {
    const native = countNative(call)
    const blocks = await this.#blocks.take()
    return [...blocks.values()].reduce((sum, count) => sum + count, native)
  }

  stop(): void {
    this.#blocks.stop()
  }
}

/** Runs the call, and counts the calls of the methods in `COSTS` and the steps of each pattern. */
function countNative(call: () => void): number {
  const counter = { work: 0, isOn: false }
  const restore = COSTS.flatMap(([holder, costs]) =>
    Reflect.ownKeys(costs).map((name) => replaceMethod(holder, name, costs[name]!, counter)),
  )
  restore.push(replaceExec(counter))
  try {
    counter.isOn = true
    call()
  } catch (error) {
    // A refusal of the input is a valid result.
    if (!(error instanceof Error && 'code' in error && 'status' in error)) throw error
  } finally {
    counter.isOn = false
    for (const undo of restore) undo()
  }
  return counter.work
}

interface Counter {
  work: number
  /** Whether calls are counted. False while the counter itself calls such methods. */
  isOn: boolean
}

function replaceMethod(
  holder: object,
  name: PropertyKey,
  cost: Cost,
  counter: Counter,
): () => void {
  return replace(holder, name, (original) => {
    return function (...args) {
      const result = Reflect.apply(original, this, args)
      count(counter, () => 1 + cost(this as Parameters<Cost>[0], args, result))
      return result
    }
  })
}

/**
 * Replaces `exec`. All methods that take a pattern call its `exec` if that is not the built-in one.
 */
function replaceExec(counter: Counter): () => void {
  return replace(RegExp.prototype, 'exec', (original) => {
    return function (...args) {
      const pattern = this as RegExp
      const from = pattern.global || pattern.sticky ? pattern.lastIndex : 0
      const match = Reflect.apply(original, pattern, args) as RegExpExecArray | null
      count(counter, () => stepsOf(pattern, String(args[0]), from, match))
      return match
    }
  })
}

function stepsOf(
  pattern: RegExp,
  text: string,
  from: number,
  match: RegExpExecArray | null,
): number {
  const { index, end, steps } = countSteps(pattern, text, from)
  const expected = match === null ? [-1, -1] : [match.index, match.index + match[0].length]
  assert.deepEqual([index, end], expected, `the steps of ${pattern.source} are counted wrongly`)
  return steps
}

function count(counter: Counter, work: () => number): void {
  if (!counter.isOn) return
  counter.isOn = false
  counter.work += work()
  counter.isOn = true
}

function replace(
  holder: object,
  name: PropertyKey,
  make: (original: Method) => Method,
): () => void {
  const descriptor = Object.getOwnPropertyDescriptor(holder, name)
  assert(descriptor?.configurable === true, String(name))
  const value = make(Reflect.get(holder, name) as Method)
  Object.defineProperty(holder, name, { configurable: true, writable: true, value })
  return () => Object.defineProperty(holder, name, descriptor)
}

function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 0
  return 'length' in value && typeof value.length === 'number' ? value.length : 0
}
