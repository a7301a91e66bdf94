/** Runs a command line: parses it, runs its command, and prints errors. */
import { readFile } from 'node:fs/promises'

import { parseCommand, type Command } from './arguments.ts'
import { describe, DONE, exitCodeOf, INTERRUPTED, UsageError } from './exit-codes.ts'
import { runGet } from './get.ts'
import { COMMAND_HELP, COMMANDS, HELP } from './help.ts'
import { createLiveReport } from './live-report.ts'
import { runPut } from './put.ts'
import { createPlainReport, type Report } from './report.ts'
import { runPatch, runRemove, runStatus } from './simple-commands.ts'

/**
 * Runs the command that the arguments name. Resolves with the exit code, and never rejects. When the
 * signal aborts, the command stops its transfers.
 */
export async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { stdout, stderr } = process
  // Everything is printed by a report, which replaces characters that could control the terminal:
  // arguments, file names and answers of the server may contain some.
  const plain = createPlainReport(stdout, stderr, false)
  try {
    const command = parseCommand(args, process.env)
    if (command.kind === 'help') {
      const help = command.about === null ? HELP : COMMAND_HELP[command.about]
      for (const line of help.split('\n')) plain.print(line)
      return DONE
    }
    if (command.kind === 'version') {
      plain.print(await readVersion())
      return DONE
    }
    // `get URL -` writes the file to the standard output, so that its progress goes to the standard
    // error.
    const out = command.kind === 'get' && command.file === '-' ? stderr : stdout
    return await perform(command, createReport(out, command.quiet), signal)
  } catch (error) {
    const about = COMMANDS.find((command) => command === args[0])
    if (args.length === 0) for (const line of HELP.split('\n')) plain.error(line)
    else {
      plain.error(`partial-upload: ${describe(error)}`)
      plain.error(`See partial-upload ${about === undefined ? '' : `${about} `}--help.`)
    }
    return exitCodeOf(error)
  }
}

/**
 * Creates the report of the transfers. Lines are redrawn in place only in a terminal that reports its
 * width and can move its cursor. Logs and pipes get plain lines.
 */
function createReport(out: NodeJS.WriteStream, isQuiet: boolean): Report {
  const { stderr } = process
  const isLive = out.isTTY && out.columns > 0 && process.env['TERM'] !== 'dumb' && !isQuiet
  return isLive ? createLiveReport(out, stderr) : createPlainReport(out, stderr, isQuiet)
}

/** Runs a command, and reports its failure or its interruption. Wrong usage is left to the caller. */
async function perform(
  command: Exclude<Command, { kind: 'help' | 'version' }>,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  try {
    const code = await dispatch(command, report, signal)
    if (!signal.aborted) return code
  } catch (error) {
    if (error instanceof UsageError) throw error
    if (!signal.aborted) {
      report.error(`partial-upload: ${describe(error)}`)
      return exitCodeOf(error)
    }
  }
  report.error('partial-upload: stopped; run the same command again to resume')
  return INTERRUPTED
}

/** Calls the function of a command. */
async function dispatch(
  command: Exclude<Command, { kind: 'help' | 'version' }>,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  switch (command.kind) {
    case 'put':
      return runPut(command, report, signal)
    case 'get':
      return runGet(command, report, signal)
    case 'status':
      return runStatus(command, report, signal)
    case 'patch':
      return runPatch(command, report, signal)
    case 'rm':
      return runRemove(command, report, signal)
  }
}

/**
 * Reads the version of this package from its package.json, which is two folders above the built file.
 */
async function readVersion(): Promise<string> {
  const file = new URL('../../package.json', import.meta.url)
  const content: unknown = JSON.parse(await readFile(file, 'utf8'))
  const isPackage = typeof content === 'object' && content !== null && 'version' in content
  return isPackage ? String(content.version) : 'unknown'
}
