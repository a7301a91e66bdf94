/**
 * Checks the options of a call and adds the defaults.
 *
 * Each call (`upload`, `patch`, `remove`) has a table beside its code, with one example value for
 * each of its options. A given value must have the type of the example. Where an option has a
 * default, the example is that default. Otherwise it only says what is accepted: a regular
 * expression that the string has to match, `CALLBACK` for a function, or `OBJECT` for an object.
 */
import { systemClock, type Clock } from './clock.ts'
import type { RequestOptions } from './options.ts'

/** The example of an option that accepts any object, functions included. */
const OBJECT = {}
/** The example of an option that accepts any function. */
export const CALLBACK = (): void => undefined
/**
 * Roughly a media type (RFC 9110 §8.3.1), or nothing. The server checks the details. The client has
 * to refuse control characters itself, because it writes the value into the header of a part, where
 * a line break would begin another field.
 */
const MEDIA_TYPE = /^([!-.0-~]+\/[ -~]+)?$/

/** The options that have a default in every call. `options.ts` describes them. */
export interface Defaults {
  readonly retries: number
  readonly waitForServer: boolean
  readonly minDelay: number
  readonly maxDelay: number
  readonly stallTimeout: number
  readonly answerTimeout: number
  /** Not part of the public options: only tests replace it. */
  readonly clock: Clock
  /** Returns a number from 0 to 1. Not part of the public options: only tests replace it. */
  readonly random: () => number
}

/** The defaults. Times are in milliseconds. */
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

/** The table of a call that sends no content. */
export const REQUEST = {
  ...DEFAULTS,
  headers: OBJECT,
  credentials: /^(omit|same-origin|include)$/,
  signal: OBJECT,
  agent: OBJECT,
  onBeforeRequest: CALLBACK,
  shouldRetry: CALLBACK,
}

/** The table of a call that sends content. */
export const TRANSFER = { ...REQUEST, contentType: MEDIA_TYPE, onProgress: CALLBACK }

/**
 * Checks the options of a call against its table and adds the defaults. `undefined` counts as not
 * given, but an unknown name is refused even then, because it is likely to be misspelled.
 *
 * @throws TypeError for an option that the table does not have, and for a value of another type or
 * range.
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

/** Describes what an option accepts, for the message of the TypeError. */
function describe(example: unknown): string {
  if (example instanceof RegExp) return String(example)
  return typeof example === 'number' ? 'a number >= 0' : typeof example
}

/**
 * Whether an option with this example accepts the value. NaN and negative numbers are refused.
 */
function isLike(example: unknown, value: unknown): boolean {
  if (example instanceof RegExp) return example.test(String(value))
  if (example === OBJECT) return value instanceof Object
  return typeof value === typeof example && (typeof value !== 'number' || value >= 0)
}
