/** The options of the command line, and which command has which of them. */
import { parseArgs } from 'node:util'

import { UsageError } from './exit-codes.ts'
import type { CommandName } from './help.ts'

/** All options, in the form of `parseArgs`. `TAKES` assigns them to commands. */
const OPTIONS = {
  'dry-run': { type: 'boolean', short: 'n' },
  overwrite: { type: 'boolean' },
  checksum: { type: 'boolean' },
  concurrency: { type: 'string' },
  'content-type': { type: 'string' },
  'limit-rate': { type: 'string' },
  recursive: { type: 'boolean', short: 'r' },
  include: { type: 'string', multiple: true },
  exclude: { type: 'string', multiple: true },
  list: { type: 'string' },
  at: { type: 'string' },
  header: { type: 'string', short: 'H', multiple: true },
  retries: { type: 'string' },
  timeout: { type: 'string' },
  wait: { type: 'boolean' },
  json: { type: 'boolean' },
  verbose: { type: 'boolean', short: 'v' },
  quiet: { type: 'boolean', short: 'q' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

/** The options that every command has. */
const COMMON = ['header', 'retries', 'timeout', 'wait', 'json', 'verbose', 'quiet', 'help']

/** The further options of each command. */
const TAKES: Readonly<Record<CommandName, readonly string[]>> = {
  put: [
    ...['dry-run', 'overwrite', 'checksum', 'concurrency', 'content-type', 'limit-rate'],
    ...['include', 'exclude'],
  ],
  get: [
    ...['dry-run', 'overwrite', 'recursive', 'concurrency', 'limit-rate'],
    ...['include', 'exclude', 'list'],
  ],
  ls: ['include', 'exclude', 'list'],
  status: [],
  patch: ['at', 'content-type'],
  rm: ['dry-run'],
  completion: [],
}

/** Returns the long names of all options of a command, without their dashes. */
export function optionsOf(name: CommandName): readonly string[] {
  return name === 'completion' ? ['help'] : [...TAKES[name], ...COMMON]
}

/**
 * Splits the arguments into options and words.
 *
 * @throws UsageError for an unknown option, and for one without its value.
 */
// The return type is the one that parseArgs infers from OPTIONS.
// eslint-disable-next-line typescript/explicit-function-return-type, typescript/explicit-module-boundary-types
export function splitArguments(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    // The messages of Node are clear. Only their first sentence is kept, because the others explain
    // how to pass arguments that begin with a dash.
    throw new UsageError(error.message.split(/\.\s/)[0] ?? '')
  }
}

/** The options of a command line, by name. */
export type Values = ReturnType<typeof splitArguments>['values']

/** The multiples of a byte that a size may end in. They are those of curl and rclone. */
const UNITS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 }

/** Parses the value of an option that is a whole number of at least `least`. */
export function parseNumber(name: string, text: string, least: number): number {
  // `Number` alone would accept an empty text, `1e3` and `0x10`.
  const value = /^[0-9]+$/.test(text) ? Number(text) : NaN
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new UsageError(`--${name} must be a whole number, ${least} or more, not "${text}"`)
}

/** Parses a number of bytes with an optional unit, such as `500K` or `1.5M`. */
export function parseSize(name: string, text: string, least: number): number {
  const [, number = '', unit = ''] = /^([0-9]+(?:\.[0-9]+)?)([KMG]?)$/i.exec(text) ?? []
  // A fraction of a byte can only come from a fraction of a unit, such as 1.3K.
  const value = Math.floor(Number(number) * (UNITS[unit.toUpperCase()] ?? NaN))
  if (number !== '' && Number.isSafeInteger(value) && value >= least) return value
  throw new UsageError(
    `--${name} must be a number of bytes, ${least} or more, such as 500K or 1.5M, not "${text}"`,
  )
}
