#!/usr/bin/env node
/** The command `partial-upload`: ties it to the process. */
import { FAILED, INTERRUPTED } from './failure.ts'
import { run } from './run.ts'

const controller = new AbortController()

/** The first signal stops in good order; a second one ends the process at once. */
function stop(): void {
  if (controller.signal.aborted) process.exit(INTERRUPTED)
  controller.abort()
  // A read of the standard input would wait for its next bytes.
  process.stdin.destroy()
}

process.on('SIGINT', stop).on('SIGTERM', stop)
// Whoever read the report is gone, as with `| head`: there is nobody to tell, but a script sees it.
process.stdout.on('error', () => process.exit(FAILED))

const code = await run(process.argv.slice(2), controller.signal)
// Neither an open standard input nor a connection that is kept for later shall hold the process.
process.stdout.write('', () => process.exit(code))
