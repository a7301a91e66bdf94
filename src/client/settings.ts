/**
 * The options of the calls. Each call has a table of its own, beside its code: for each option its
 * default, whose type also is the check of a value. An option without a default has a regular expression
 * or an empty value of its type instead.
 */
import { systemClock, type Clock } from './clock.ts'
import type { RequestOptions } from './options.ts'

/** Stands for any object, functions included. */
const OBJECT = {}
/** Stands for any function. */
export const CALLBACK = (): void => undefined
/** Roughly RFC 9110 §8.3.1, because the server checks the rest. A line break would begin a new field. */
const MEDIA_TYPE = /^([!-.0-~]+\/[ -~]+)?$/

/** The options that every call has a value for. */
export interface Defaults {
  readonly retries: number
  readonly waitForServer: boolean
  readonly minDelay: number
  readonly maxDelay: number
  readonly stallTimeout: number
  readonly answerTimeout: number
  /** Replaced by tests only. */
  readonly clock: Clock
  /** Returns a number from 0 to 1. Replaced by tests only. */
  readonly random: () => number
}

/** The values of options that the caller does not give. Times are in milliseconds. */
export const DEFAULTS: Defaults = {
  retries: 20,
  waitForServer: false,
  minDelay: 500,
  maxDelay: 30_000,
  stallTimeout: 30_000,
  answerTimeout: 300_000,
  clock: systemClock,
  random: Math.random,
}

/** The options of a call that is one request. */
export const REQUEST = {
  ...DEFAULTS,
  headers: OBJECT,
  credentials: /^(omit|same-origin|include)$/,
  signal: OBJECT,
  agent: OBJECT,
  onBeforeRequest: CALLBACK,
  shouldRetry: CALLBACK,
}

/** The options of a call that sends content. */
export const TRANSFER = { ...REQUEST, contentType: MEDIA_TYPE, onProgress: CALLBACK }

/**
 * Checks the options of a call by its table and adds the defaults. An option that is undefined counts as not given.
 *
 * @throws TypeError for an option that the call does not have, and for a wrong value.
 */
export function applyDefaults(
  table: object,
  options: RequestOptions,
): Omit<RequestOptions, keyof Defaults> & Defaults {
  const examples = new Map<string, unknown>(Object.entries(table))
  const given = Object.entries(options).filter(([name, value]) => {
    const example = examples.get(name)
    if (example === undefined) throw new TypeError(`"${name}" is not an option`)
    if (value !== undefined && !isLike(example, value)) {
      throw new TypeError(`${name} is "${String(value)}", expected ${describe(example)}`)
    }
    return value !== undefined
  })
  return { ...DEFAULTS, ...Object.fromEntries(given) }
}

function describe(example: unknown): string {
  if (example instanceof RegExp) return String(example)
  return typeof example === 'number' ? 'a number >= 0' : typeof example
}

/** Whether a value is of the type of the example. A number must not be negative. */
function isLike(example: unknown, value: unknown): boolean {
  if (example instanceof RegExp) return example.test(String(value))
  if (example === OBJECT) return value instanceof Object
  return typeof value === typeof example && (typeof value !== 'number' || value >= 0)
}
