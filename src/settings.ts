/**
 * The table of the options of the middleware, from which settings are made and checked. The
 * documentation shows the same names and defaults in the same sections, and a test holds the two
 * together.
 */
import type { Limits, PartialUploadOptions, Preset, Rules, Statuses } from './options.ts'

/** Options with every default in place. */
export type Settings = Statuses & Limits & Rules & Leniency

/** What only a preset decides. */
interface Leniency {
  /**
   * `If-None-Match: *` does not count on segments that continue an upload, because the examples of the
   * IETF draft repeat it on every segment.
   */
  readonly repeatsIfNoneMatch: boolean
}

/** The values that an option accepts. A wrong one fails when the app starts, not at the first upload. */
interface Check {
  /** Completes the sentence "NAME must be …". */
  readonly expected: string
  readonly accepts: (value: unknown) => boolean
}

/** One option. */
interface Option {
  /** The heading under which the READMEs of the server and the protocol have its row. */
  readonly section: string
  readonly check: Check
  /** Its value if the app gives none. A status has the value that the preset gives it. */
  readonly default?: number | boolean | string
  /** What the option can't work without, unless its value is 0. */
  readonly needs?: readonly ('owner' | 'listIncomplete')[]
}

/** The statuses of each revision of the draft. */
export const PRESETS: Readonly<Record<Preset, Statuses>> = {
  seed: statuses(202, 299, 201, 204),
  '2019-06': statuses(299, 299, 201, 200),
  ietf: statuses(200, 200, 200, 200),
}

/** The longest time of a timer in Node, in milliseconds. A longer one would fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1
/** What a field value may have (RFC 9110 §5.5). */
const VISIBLE_ASCII = /^[\x20-\x7e]*$/

/** A number of bytes or things, or a time that is not given to a timer. */
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

  // Any other number would mislead a client.
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
 * Options of version 0.1.0, and what has replaced them. An old name is refused, because an ignored limit would
 * leave a server open.
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
/** The options by which an app plugs in objects and functions of its own. All others are settings. */
const PLUGS = ROWS.filter(([, { section }]) => section === 'Options')
const SETTINGS = ROWS.filter(([, { section }]) => section !== 'Options')

/**
 * Puts the defaults in place of options that are left out or undefined.
 *
 * @throws TypeError for a wrong option, naming it and its value.
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

/** Checks that what an option needs is there. */
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

function show(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  return value instanceof Object ? typeof value : String(value)
}

/** 2xx numbers without a meaning in IANA's registry, which a client treats as 200 (RFC 9110 §15). */
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
