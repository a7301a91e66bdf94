#!/usr/bin/env node
/** The program `partial-upload`: signals, streams and the exit code of the process. */
import { setMaxListeners } from 'node:events'

import { FAILED, INTERRUPTED } from './exit-codes.ts'
import { run } from './run.ts'

const controller = new AbortController()
// Each running transfer adds a listener, and `--concurrency` sets their number.
setMaxListeners(0, controller.signal)

/** The first signal stops the transfers, and a second one ends the process at once. */
function stop(): void {
  if (controller.signal.aborted) process.exit(INTERRUPTED)
  controller.abort()
  // A read of the standard input would wait for its next bytes.
  process.stdin.destroy()
}

process.on('SIGINT', stop).on('SIGTERM', stop)
// The reader of the output has closed it, as `head` does: only the exit code can still be seen.
process.stdout.on('error', () => process.exit(FAILED))

const code = await run(process.argv.slice(2), controller.signal)
// An open standard input and idle connections would keep the process alive.
process.stdout.write('', () => process.exit(code))
