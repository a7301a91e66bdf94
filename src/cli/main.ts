#!/usr/bin/env node
/** The command `partial-upload`: ties it to the process. */
import { INTERRUPTED } from './failure.ts'
import { run } from './run.ts'

const controller = new AbortController()

/** The first signal stops in good order; a second one ends the process at once. */
function stop(): void {
  if (controller.signal.aborted) process.exit(INTERRUPTED)
  controller.abort()
}

process.on('SIGINT', stop).on('SIGTERM', stop)
// A reader that has enough, such as `head`, is no failure; neither is there anybody to tell.
process.stdout.on('error', () => process.exit())

const code = await run(process.argv.slice(2), controller.signal)
// Neither an open standard input nor a connection that is kept for later shall hold the process.
process.stdout.write('', () => process.exit(code))
