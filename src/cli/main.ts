#!/usr/bin/env node
/** The command `partial-upload`: ties it to the process. */
import { setMaxListeners } from 'node:events'

import { FAILED, INTERRUPTED } from './exit-codes.ts'
import { run } from './run.ts'

const controller = new AbortController()
// Each file under way listens, and `--concurrency` says how many there are.
setMaxListeners(0, controller.signal)

/** The first signal stops in good order; a second one ends the process at once. */
function stop(): void {
  if (controller.signal.aborted) process.exit(INTERRUPTED)
  controller.abort()
  // A read of the standard input would wait for its next bytes.
  process.stdin.destroy()
}

process.on('SIGINT', stop).on('SIGTERM', stop)
// The reader of the report has gone, as with `| head`. The exit code is all that can still be seen.
process.stdout.on('error', () => process.exit(FAILED))

const code = await run(process.argv.slice(2), controller.signal)
// An open standard input and connections kept for later would hold the process.
process.stdout.write('', () => process.exit(code))
