/** From words to an exit code. */
import { readFile } from 'node:fs/promises'

import { parseCommand, type Command } from './arguments.ts'
import { describe, DONE, exitCodeOf, INTERRUPTED, UsageError } from './failure.ts'
import { runGet } from './get.ts'
import { COMMAND_HELP, COMMANDS, HELP } from './help.ts'
import { runPut } from './put.ts'
import { createPlainReport, type Report } from './report.ts'
import { runPatch, runRemove, runStatus } from './single.ts'

/** Does what the arguments say. Resolves with the exit code. */
export async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { stdout, stderr } = process
  try {
    const command = parseCommand(args)
    if (command.kind === 'help') {
      stdout.write(`${command.about === null ? HELP : COMMAND_HELP[command.about]}\n`)
      return DONE
    }
    if (command.kind === 'version') {
      stdout.write(`${await readVersion()}\n`)
      return DONE
    }
    // Where the file itself is printed, there is no place for words about it.
    const out = command.kind === 'get' && command.file === '-' ? stderr : stdout
    const report = await createReport(out, command.quiet)
    return await perform(command, report, signal)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    const about = COMMANDS.find((command) => command === args[0])
    const words = ['See partial-upload', ...(about === undefined ? [] : [about]), '--help.']
    stderr.write(
      args.length === 0 ? `${HELP}\n` : `partial-upload: ${error.message}\n${words.join(' ')}\n`,
    )
    return exitCodeOf(error)
  }
}

/** Live lines where they can be drawn in place, for which a terminal must tell its size. */
async function createReport(out: NodeJS.WriteStream, isQuiet: boolean): Promise<Report> {
  const { stderr } = process
  const isLive = out.isTTY && out.columns > 0 && process.env['TERM'] !== 'dumb' && !isQuiet
  if (!isLive) return createPlainReport(out, stderr, isQuiet)
  // A script does not wait for what draws.
  const { createLiveReport } = await import('./live-report.ts')
  return createLiveReport(out, stderr)
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
  report.error('partial-upload: stopped; the same command goes on from here')
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
