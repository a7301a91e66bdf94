/** What a caller can set: one row for each option, with its default and its check. */

/** What has no default stands for itself: of an object, which may be a function, the type counts. */
const OBJECT = {}
const CALLBACK = (): void => undefined
/** RFC 9110 §8.3.1. A line break would end the field, and begin another one. */
const MEDIA_TYPE = /^$|^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+[\t ]*(;[\t -~]*)?$/

/** The options that every call has a value for. */
export interface Defaults {
  readonly retries: number
  readonly waitForServer: boolean
  readonly minDelay: number
  readonly maxDelay: number
  readonly stallTimeout: number
  readonly answerTimeout: number
  readonly random: () => number
}

/** Their defaults: times in milliseconds. */
export const DEFAULTS: Defaults = {
  retries: 20,
  waitForServer: false,
  minDelay: 500,
  maxDelay: 30_000,
  stallTimeout: 30_000,
  answerTimeout: 300_000,
  random: Math.random,
}

/** The further options of every call, by an example of the value. */
const REQUEST = {
  ...DEFAULTS,
  headers: OBJECT,
  credentials: /^(omit|same-origin|include)$/,
  signal: OBJECT,
  agent: OBJECT,
  clock: OBJECT,
}

const TRANSFER = { ...REQUEST, contentType: MEDIA_TYPE, onProgress: CALLBACK }

/** The options of each call. */
const SETTINGS = {
  request: REQUEST,
  upload: {
    ...TRANSFER,
    overwrite: false,
    verify: false,
    segmentSize: 0,
    contentDigest: false,
    reprDigest: false,
    onState: CALLBACK,
  },
  patch: { ...TRANSFER, ifMatch: '*', length: 0 },
}

/** The calls that differ in their options. */
export type Call = keyof typeof SETTINGS

/**
 * Checks the options of a call. An option that is undefined counts as not given.
 *
 * @throws TypeError for an option that the call does not have, and for a wrong value.
 */
export function checkOptions(call: Call, options: object): void {
  const settings = new Map<string, unknown>(Object.entries(SETTINGS[call]))
  for (const [name, value] of Object.entries(options)) {
    const example = settings.get(name)
    if (example === undefined) throw new TypeError(`${name} is not an option`)
    if (value === undefined || isLike(example, value)) continue
    const kind = typeof example === 'number' ? '>= 0' : typeof example
    const expected = example instanceof RegExp ? example : kind
    throw new TypeError(`${name} is ${String(value)}, expected ${String(expected)}`)
  }
}

/** Whether a value is of the kind of the example. No number is negative. */
function isLike(example: unknown, value: unknown): boolean {
  if (example instanceof RegExp) return example.test(String(value))
  if (example === OBJECT) return value instanceof Object
  return typeof value === typeof example && (typeof value !== 'number' || value >= 0)
}
