/**
 * The table of the options of the middleware, from which the settings are made and checked. The
 * READMEs show the same names and defaults in the same sections, and a test compares them.
 */
import { LONGEST_TIMER } from './delays.ts'
import type { Limits, PartialUploadOptions, Preset, Rules, Statuses } from './options.ts'

/** The options of an app, with the default of each one that it left out. */
export type Settings = Statuses & Limits & Rules & Leniency

/** Settings that only a preset can change. */
interface Leniency {
  /**
   * Whether `If-None-Match: *` is ignored on segments that continue an upload, because the examples
   * of the IETF draft repeat it on every segment.
   */
  readonly repeatsIfNoneMatch: boolean
}

/**
 * The values that an option accepts. A wrong one fails when the app starts, not at the first
 * upload.
 */
interface Check {
  /** Completes the sentence "NAME must be …". */
  readonly expected: string
  readonly accepts: (value: unknown) => boolean
}

/** A row of the table: one option. */
interface Option {
  /** The heading under which the READMEs of the server and the protocol have its row. */
  readonly section: string
  readonly check: Check
  /** Its value if the app gives none. A status has the value that the preset gives it. */
  readonly default?: number | boolean | string
  /** Another option, or a method of the storage, that this option needs unless its value is 0. */
  readonly needs?: readonly ('owner' | 'listIncomplete')[]
}

/** The statuses of each revision of the draft. */
export const PRESETS: Readonly<Record<Preset, Statuses>> = {
  seed: statuses(202, 299, 201, 204),
  '2019-06': statuses(299, 299, 201, 200),
  ietf: statuses(200, 200, 200, 200),
}

/** The characters that a field value may have (RFC 9110 §5.5), without obsolete ones. */
const VISIBLE_ASCII = /^[\x20-\x7e]*$/

/** A number of bytes, of requests and so on, or a time that is not passed to a timer. */
const COUNT = integer(0)
const POSITIVE = integer(1)
const TIMER = integer(0, LONGEST_TIMER)
const BOOLEAN = oneOf(true, false)
const FUNCTION = optional({
  expected: 'a function',
  accepts: (value) => typeof value === 'function',
})

/** Every option by its name. */
export const OPTIONS = {
  storage: {
    section: 'Options',
    check: { expected: 'a storage adapter', accepts: (value) => hasMethod(value, 'openWriter') },
  },
  key: { section: 'Options', check: FUNCTION },
  owner: { section: 'Options', check: FUNCTION },
  onCreate: { section: 'Options', check: FUNCTION },
  onComplete: { section: 'Options', check: FUNCTION },
  onPublished: { section: 'Options', check: FUNCTION },
  onRemoved: { section: 'Options', check: FUNCTION },
  locker: {
    section: 'Options',
    check: optional({ expected: 'a locker', accepts: (value) => hasMethod(value, 'acquire') }),
  },
  preset: { section: 'Options', check: optional(oneOf(...Object.keys(PRESETS))), default: 'seed' },

  // Other statuses have a meaning of their own, by which a client would misunderstand the answer.
  segmentStatus: { section: 'Presets', check: status([200, 202, 204], isUnassigned) },
  incompleteStatus: { section: 'Presets', check: status([200], isUnassigned) },
  createdStatus: { section: 'Presets', check: status([200, 201, 204]) },
  modifiedStatus: { section: 'Presets', check: status([200, 204]) },
  gapStatus: { section: 'Presets', check: status([400, 409, 416, 422]) },

  maxSize: { section: 'Sizes', check: COUNT, default: 2 ** 40 },
  maxParts: { section: 'Sizes', check: POSITIVE, default: 128 },
  maxPartHeaderSize: { section: 'Sizes', check: POSITIVE, default: 8 * 1024 },
  maxRanges: { section: 'Sizes', check: POSITIVE, default: 16 },

  lockTimeout: { section: 'Times', check: TIMER, default: 2000 },
  idleTimeout: { section: 'Times', check: TIMER, default: 60_000 },
  minRate: { section: 'Times', check: COUNT, default: 100 },
  expireAfter: { section: 'Times', check: COUNT, default: 0, needs: ['listIncomplete'] },

  maxUploads: { section: 'Work at the same time', check: COUNT, default: 0 },
  maxUploadsPerOwner: {
    section: 'Work at the same time',
    check: COUNT,
    default: 0,
    needs: ['owner'],
  },
  maxHashings: { section: 'Work at the same time', check: POSITIVE, default: 4 },
  maxCopies: { section: 'Work at the same time', check: POSITIVE, default: 4 },
  maxIncompletePerOwner: {
    section: 'Work at the same time',
    check: COUNT,
    default: 0,
    needs: ['owner', 'listIncomplete'],
  },
  maxIncompleteBytesPerOwner: {
    section: 'Work at the same time',
    check: COUNT,
    default: 0,
    needs: ['owner', 'listIncomplete'],
  },

  requirePreconditions: { section: 'Rules', check: BOOLEAN, default: false },
  finished: {
    section: 'Rules',
    check: oneOf('mutable', 'same-length', 'immutable'),
    default: 'mutable',
  },
  appendOnly: { section: 'Rules', check: BOOLEAN, default: false },
  put: { section: 'Rules', check: oneOf(true, false, 'persist'), default: true },

  incompleteContentRange: { section: 'Responses', check: BOOLEAN, default: true },
  exposeIncomplete: { section: 'Responses', check: BOOLEAN, default: true },
  contentSecurityPolicy: {
    section: 'Responses',
    check: {
      expected: 'a string of visible ASCII',
      accepts: (value) => typeof value === 'string' && VISIBLE_ASCII.test(value),
    },
    default: 'sandbox',
  },
} as const satisfies Readonly<Record<keyof PartialUploadOptions<never>, Option>>

/**
 * The options of version 0.1.0 that have another name now. An old name is refused and not ignored,
 * because an app would otherwise run without the limit that it has set.
 */
const RENAMED: Readonly<Record<string, string>> = {
  allowPut: 'put',
  keepInterruptedPut: "put: 'persist'",
  allowTruncate: "finished: 'same-length'",
  allowReopen: "finished: 'same-length'",
  immutableAfterComplete: "finished: 'immutable'",
  continuationIgnoresIfNoneMatchStar: "preset: 'ietf'",
  stallTimeout: 'lockTimeout',
  lockWait: 'lockTimeout',
  maxContentLength: 'maxSize, maxParts and maxPartHeaderSize',
  bufferSize: 'nothing, because it is 64 KiB now',
  serveAsAttachment: 'a Content-Disposition field that the app sets before the middleware',
}

type Values = Readonly<Record<string, unknown>>
type Rows = readonly (readonly [name: string, row: Option])[]

const ROWS: Rows = Object.entries(OPTIONS)
/** The options whose values are objects and functions of the app. All others are settings. */
const PLUGS = ROWS.filter(([, { section }]) => section === 'Options')
const SETTINGS = ROWS.filter(([, { section }]) => section !== 'Options')

/**
 * Returns the settings: the options of the app, and the defaults of those that are left out or
 * undefined. A wrong option throws here, when the app starts, and not at the first upload.
 *
 * @throws TypeError for an unknown option, a wrong value, or a missing option or method that
 * another option needs. The message names the option and the value.
 */
export function resolveSettings<Request>(options: PartialUploadOptions<Request>): Settings {
  const given: Values = { ...options }
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(OPTIONS, name)) throw unknownOption(name)
  }
  checkValues(given, PLUGS)
  const { preset = 'seed' } = options
  const defaults: Values = { ...PRESETS[preset] }
  const settings = Object.fromEntries(
    SETTINGS.map(([name, row]) => {
      const value = given[name]
      return [name, value === undefined ? (row.default ?? defaults[name]) : value]
    }),
  )
  checkSettings(settings)
  checkNeeds(settings, options)
  return { ...settings, repeatsIfNoneMatch: preset === 'ietf' }
}

function unknownOption(name: string): TypeError {
  const successor = Object.hasOwn(RENAMED, name) ? `: use ${RENAMED[name]}` : ''
  return new TypeError(`${name} is not an option${successor}`)
}

function checkSettings(values: Values): asserts values is Values & Omit<Settings, keyof Leniency> {
  checkValues(values, SETTINGS)
}

function checkValues(values: Values, rows: Rows): void {
  for (const [name, { check }] of rows) {
    if (check.accepts(values[name])) continue
    throw new TypeError(`${name} must be ${check.expected}, not ${show(values[name])}`)
  }
}

/** Checks that the app has given what its other options need. */
function checkNeeds<Request>(
  settings: Values,
  { owner, storage }: PartialUploadOptions<Request>,
): void {
  for (const [name, { needs = [] }] of SETTINGS) {
    if (settings[name] === 0) continue
    if (needs.includes('owner') && owner === undefined) throw new TypeError(`${name} needs owner`)
    if (needs.includes('listIncomplete') && storage.listIncomplete === undefined) {
      throw new TypeError(`${name} needs a storage with listIncomplete()`)
    }
  }
}

/** Accepts integers from `least` to `most`, both included. */
function integer(least: number, most = Number.MAX_SAFE_INTEGER): Check {
  return {
    expected: `an integer from ${least} to ${most}`,
    accepts: (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most,
  }
}

function oneOf(...values: readonly (boolean | string)[]): Check {
  return {
    expected: values.map(show).join(' or '),
    accepts: (value) => values.some((accepted) => accepted === value),
  }
}

/** Accepts some statuses, and those for which `isOther` returns true. */
function status(numbers: readonly number[], isOther?: (status: number) => boolean): Check {
  const expected = numbers.join(', ')
  return {
    expected: isOther === undefined ? `one of ${expected}` : `${expected} or an unassigned 2xx`,
    accepts: (value) =>
      typeof value === 'number' && (numbers.includes(value) || isOther?.(value) === true),
  }
}

function optional({ expected, accepts }: Check): Check {
  return { expected, accepts: (value) => value === undefined || accepts(value) }
}

function hasMethod(value: unknown, name: string): boolean {
  return (
    typeof value === 'object' && value !== null && typeof Reflect.get(value, name) === 'function'
  )
}

/**
 * Formats a value for a message. The content of an object is left out, because it may be a secret
 * or very long.
 */
function show(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  return value instanceof Object ? typeof value : String(value)
}

/**
 * Returns whether a status is a 2xx that IANA has not assigned, which a client treats as 200 (RFC
 * 9110 §15).
 */
export function isUnassigned(status: number): boolean {
  return Number.isInteger(status) && status >= 209 && status <= 299 && status !== 226
}

function statuses(
  segment: number,
  incomplete: number,
  created: number,
  modified: number,
): Statuses {
  return {
    segmentStatus: segment,
    incompleteStatus: incomplete,
    createdStatus: created,
    modifiedStatus: modified,
    gapStatus: 409,
  }
}
