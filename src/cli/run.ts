/** Runs a command line, and returns its exit code. */
import { readFile } from 'node:fs/promises'

import { parseCommand, type Command } from './arguments.ts'
import { describe, DONE, exitCodeOf, INTERRUPTED, UsageError } from './exit-codes.ts'
import { runGet } from './get.ts'
import { COMMAND_HELP, COMMANDS, HELP } from './help.ts'
import { createLiveReport } from './live-report.ts'
import { runPut } from './put.ts'
import { createPlainReport, type Report } from './report.ts'
import { runPatch, runRemove, runStatus } from './simple-commands.ts'

/** Runs the command of the arguments. Resolves with the exit code. */
export async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { stdout, stderr } = process
  // A report replaces characters that could control the terminal.
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
    // `get URL -` prints the file itself to the standard output.
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

/** Lines are redrawn only in a terminal that reports its size and can move its cursor. */
function createReport(out: NodeJS.WriteStream, isQuiet: boolean): Report {
  const { stderr } = process
  const isLive = out.isTTY && out.columns > 0 && process.env['TERM'] !== 'dumb' && !isQuiet
  return isLive ? createLiveReport(out, stderr) : createPlainReport(out, stderr, isQuiet)
}

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

async function readVersion(): Promise<string> {
  const file = new URL('../../package.json', import.meta.url)
  const content: unknown = JSON.parse(await readFile(file, 'utf8'))
  const isPackage = typeof content === 'object' && content !== null && 'version' in content
  return isPackage ? String(content.version) : 'unknown'
}
