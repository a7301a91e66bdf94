/** Runs a command line: parses it, runs its command, and prints errors. */
import { readFile } from 'node:fs/promises'

import { parseCommand, type Command, type RemoteCommand } from './arguments.ts'
import { completionScript } from './completion.ts'
import { describe, DONE, exitCodeOf, INTERRUPTED, UsageError } from './exit-codes.ts'
import { runGetFolder, runList } from './folder-commands.ts'
import { runGet } from './get.ts'
import { COMMAND_HELP, COMMANDS, HELP } from './help.ts'
import { createLiveReport } from './live-report.ts'
import { createJsonLog, createTextLog, type Log } from './log.ts'
import { runPut } from './put.ts'
import { createPlainReport, type Report } from './report.ts'
import { runPatch, runRemove, runStatus } from './simple-commands.ts'
import { watchRequests } from './verbose.ts'

/**
 * Runs the command that the arguments name. Resolves with the exit code, and never rejects. When
 * the signal aborts, the command stops its transfers.
 */
export async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { stdout, stderr } = process
  // Everything is printed by a report, which replaces characters that could control the terminal:
  // arguments, file names and answers of the server may contain some.
  const plain = createPlainReport(stdout, stderr, false)
  try {
    const command = parseCommand(args, process.env)
    const text = await textFor(command)
    if (text !== null) {
      for (const line of text.split('\n')) plain.print(line)
      return DONE
    }
    if ('url' in command) return await perform(command, createLog(command), signal)
    return DONE
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

/** Returns the text that a command prints without a request; null for all others. */
async function textFor(command: Command): Promise<string | null> {
  if (command.kind === 'help') {
    return command.about === null ? HELP : COMMAND_HELP[command.about]
  }
  if (command.kind === 'version') return readVersion()
  return command.kind === 'completion' ? completionScript() : null
}

/** Creates the log of a command. */
function createLog(command: RemoteCommand): Log {
  // `get URL -` writes the file to the standard output, so that its progress goes to the standard
  // error.
  const out = command.kind === 'get' && command.file === '-' ? process.stderr : process.stdout
  // JSON is never redrawn, so that a terminal shows what a script would read.
  return command.json
    ? createJsonLog(out, command.quiet)
    : createTextLog(createReport(out, command.quiet), command.quiet)
}

/**
 * Creates the report of the transfers. Lines are redrawn in place only in a terminal that reports
 * its width and can move its cursor. Logs and pipes get plain lines.
 */
function createReport(out: NodeJS.WriteStream, isQuiet: boolean): Report {
  const { stderr } = process
  const isLive = out.isTTY && out.columns > 0 && process.env['TERM'] !== 'dumb' && !isQuiet
  return isLive ? createLiveReport(out, stderr) : createPlainReport(out, stderr, isQuiet)
}

/**
 * Runs a command, and reports its failure or its interruption, and its end. Wrong usage is left to
 * the caller, because it is shown with a hint at the help and not as an event.
 */
async function perform(command: RemoteCommand, log: Log, signal: AbortSignal): Promise<number> {
  // Subscribe before the first request. The command never unsubscribes, because the process ends
  // with it.
  if (command.verbose) watchRequests((event) => log.add(event))
  const exitCode = await attempt(command, log, signal)
  log.add({ event: 'end', exitCode })
  return exitCode
}

/** Runs a command. Resolves with the exit code, also after a failure. */
async function attempt(command: RemoteCommand, log: Log, signal: AbortSignal): Promise<number> {
  try {
    const code = await dispatch(command, log, signal)
    // A transfer that was stopped resolves like one that has failed, and must not end with its
    // code.
    if (!signal.aborted) return code
  } catch (error) {
    if (error instanceof UsageError) throw error
    // After an abort the error is that of the signal, or of a connection that the abort has closed.
    if (!signal.aborted) {
      const exitCode = exitCodeOf(error)
      log.add({ event: 'error', name: null, message: describe(error), exitCode })
      return exitCode
    }
  }
  const message = 'stopped; run the same command again to resume'
  log.add({ event: 'error', name: null, message, exitCode: INTERRUPTED })
  return INTERRUPTED
}

/** Calls the function of a command. */
async function dispatch(command: RemoteCommand, log: Log, signal: AbortSignal): Promise<number> {
  switch (command.kind) {
    case 'put':
      return runPut(command, log, signal)
    case 'get':
      return command.recursive ? runGetFolder(command, log, signal) : runGet(command, log, signal)
    case 'ls':
      return runList(command, log, signal)
    case 'status':
      return runStatus(command, log, signal)
    case 'patch':
      return runPatch(command, log, signal)
    case 'rm':
      return runRemove(command, log, signal)
  }
}

/**
 * Reads the version of this package from its package.json, which is two folders above the built
 * file.
 */
async function readVersion(): Promise<string> {
  const file = new URL('../../package.json', import.meta.url)
  const content: unknown = JSON.parse(await readFile(file, 'utf8'))
  const isPackage = typeof content === 'object' && content !== null && 'version' in content
  return isPackage ? String(content.version) : 'unknown'
}
