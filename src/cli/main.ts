#!/usr/bin/env node
/**
 * The program `partial-upload`. Connects the command line, the signals and the exit code of the
 * process with `run`, which does the work.
 */
import { setMaxListeners } from 'node:events'

import { FAILED, INTERRUPTED } from './exit-codes.ts'
import { run } from './run.ts'

const controller = new AbortController()
// Each running transfer adds a listener to the signal. Node would warn of a leak beyond ten
// listeners, which `--concurrency` can exceed.
setMaxListeners(0, controller.signal)

/** Stops the transfers at the first Ctrl-C, and ends the process at the second one. */
function stop(): void {
  if (controller.signal.aborted) process.exit(INTERRUPTED)
  controller.abort()
  // A pending read of the standard input can't be aborted and would keep the command waiting for
  // data.
  process.stdin.destroy()
}

process.on('SIGINT', stop).on('SIGTERM', stop)
// A program such as `head` closes the pipe after it has read enough. The command can't report
// anything any more and ends.
process.stdout.on('error', () => process.exit(FAILED))

const code = await run(process.argv.slice(2), controller.signal)
// Ends the process after the output was written. An open standard input and idle connections in the
// agent would otherwise keep the process alive.
process.stdout.write('', () => process.exit(code))
