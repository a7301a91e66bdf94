/** The defaults of the options, and their checks. */
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

/** The statuses of each revision; a test holds the README's table to it. */
export const PRESETS: Readonly<Record<Preset, Statuses>> = {
  seed: statuses(202, 299, 201, 204),
  '2019-06': statuses(299, 299, 201, 200),
  ietf: statuses(200, 200, 200, 200),
}

/** Options of version 0.1.0, and what has replaced them. */
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

/** The defaults of limits and rules; a test holds the README's table to them. */
export const DEFAULTS: Readonly<Limits & Rules> = {
  maxSize: 2 ** 40,
  maxParts: 128,
  maxPartHeaderSize: 8 * 1024,
  maxRanges: 16,
  lockTimeout: 2000,
  idleTimeout: 60_000,
  minRate: 100,
  maxUploads: 0,
  maxUploadsPerOwner: 0,
  maxHashings: 4,
  maxCopies: 4,
  maxIncompletePerOwner: 0,
  maxIncompleteBytesPerOwner: 0,
  expireAfter: 0,
  requirePreconditions: false,
  finished: 'mutable',
  appendOnly: false,
  put: true,
  incompleteContentRange: true,
  exposeIncomplete: true,
  contentSecurityPolicy: 'sandbox',
}

/** The numbers that each status may have: any other number would mislead a client. */
const VALID_STATUS: Readonly<Record<keyof Statuses, (status: number) => boolean>> = {
  segmentStatus: (status) => [200, 202, 204].includes(status) || isUnassigned(status),
  incompleteStatus: (status) => status === 200 || isUnassigned(status),
  createdStatus: (status) => [200, 201, 204].includes(status),
  modifiedStatus: (status) => [200, 204].includes(status),
  gapStatus: (status) => [400, 409, 416, 422].includes(status),
}

const AT_LEAST_ONE = new Set([
  'maxParts',
  'maxPartHeaderSize',
  'maxRanges',
  'maxHashings',
  'maxCopies',
])
/** What a field value may be (RFC 9110 §5.5). */
const VISIBLE_ASCII = /^[\x20-\x7e]*$/
/** All values of an option that has few. */
const VALUES: Readonly<Record<string, readonly unknown[]>> = {
  put: [true, false, 'persist'],
  finished: ['mutable', 'same-length', 'immutable'],
}
const LONGEST_TIMER = 2 ** 31 - 1
const TIMES = new Set(['lockTimeout', 'idleTimeout'])

/** Limits that count for each owner, and those that count what is stored. */
const PER_OWNER = [
  'maxUploadsPerOwner',
  'maxIncompletePerOwner',
  'maxIncompleteBytesPerOwner',
] as const
const OF_INCOMPLETE = [
  'maxIncompletePerOwner',
  'maxIncompleteBytesPerOwner',
  'expireAfter',
] as const

const FUNCTIONS = ['key', 'owner', 'onCreate', 'onComplete'] as const
/** Options that are not settings. */
const OTHER_OPTIONS = ['storage', 'locker', 'preset', ...FUNCTIONS]

/**
 * Puts the defaults in place.
 *
 * @throws TypeError naming the option and its value.
 */
export function resolveSettings<Request>(options: PartialUploadOptions<Request>): Settings {
  const { storage, locker, preset = 'seed' } = options
  if (typeof storage?.openWriter !== 'function') {
    throw new TypeError(`storage must be a storage adapter, not ${typeof storage}`)
  }
  if (locker !== undefined && typeof locker?.acquire !== 'function') {
    throw new TypeError(`locker must be a locker, not ${typeof locker}`)
  }
  for (const name of FUNCTIONS) {
    const type = typeof options[name]
    if (type === 'undefined' || type === 'function') continue
    throw new TypeError(`${name} must be a function, not ${type}`)
  }
  if (!Object.hasOwn(PRESETS, preset)) {
    throw new TypeError(`preset must be one of ${Object.keys(PRESETS).join(', ')}, not ${preset}`)
  }
  const known = { ...PRESETS[preset], ...DEFAULTS }
  const given = Object.entries(options).filter(([name]) => !OTHER_OPTIONS.includes(name))
  for (const [name] of given) {
    if (!Object.hasOwn(known, name)) throw unknownOption(name)
  }
  const settings = {
    ...known,
    repeatsIfNoneMatch: preset === 'ietf',
    ...Object.fromEntries(given.filter(([, value]) => value !== undefined)),
  }
  for (const [name, isValid] of Object.entries(VALID_STATUS)) checkStatus(settings, name, isValid)
  for (const [name, usual] of Object.entries(DEFAULTS)) checkSetting(settings, name, usual)
  checkNeeds(settings, options)
  return settings
}

function unknownOption(name: string): TypeError {
  const successor = Object.hasOwn(RENAMED, name) ? `: use ${RENAMED[name]}` : ''
  return new TypeError(`${name} is not an option${successor}`)
}

/** What some options can't do without. */
function checkNeeds<Request>(
  settings: Settings,
  { owner, storage }: PartialUploadOptions<Request>,
): void {
  for (const name of PER_OWNER) {
    if (settings[name] > 0 && owner === undefined) throw new TypeError(`${name} needs owner`)
  }
  for (const name of OF_INCOMPLETE) {
    if (settings[name] > 0 && storage.listIncomplete === undefined) {
      throw new TypeError(`${name} needs a storage with listIncomplete()`)
    }
  }
}

function checkStatus(
  settings: Readonly<Record<string, unknown>>,
  name: string,
  isValid: (status: number) => boolean,
): void {
  const value = settings[name]
  if (typeof value === 'number' && isValid(value)) return
  throw new TypeError(`${name} can't be ${String(value)}`)
}

function checkSetting(
  settings: Readonly<Record<string, unknown>>,
  name: string,
  usual: number | boolean | string,
): void {
  const value = settings[name]
  const values = VALUES[name]
  if (values !== undefined) {
    if (values.includes(value)) return
    throw new TypeError(`${name} must be ${values.map(show).join(' or ')}, not ${show(value)}`)
  }
  if (typeof usual === 'string') {
    if (typeof value === 'string' && VISIBLE_ASCII.test(value)) return
    throw new TypeError(`${name} must be a string of visible ASCII, not ${String(value)}`)
  }
  if (typeof usual === 'boolean') {
    if (typeof value === 'boolean') return
    throw new TypeError(`${name} must be true or false, not ${String(value)}`)
  }
  const least = AT_LEAST_ONE.has(name) ? 1 : 0
  const most = TIMES.has(name) ? LONGEST_TIMER : Number.MAX_SAFE_INTEGER
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most)
    return
  throw new TypeError(`${name} must be an integer from ${least} to ${most}, not ${String(value)}`)
}

function show(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value)
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
