/** The commands `status`, `patch` and `rm`, each of which is one request. */
import { stat } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'

import { ClientError, patch, remove, status } from '../client/node.ts'

import type { PatchCommand, RemoveCommand } from './arguments.ts'
import { describe, DONE, exitCodeOf, FAILED } from './exit-codes.ts'
import type { Log } from './log.ts'
import { requestOptions } from './remote.ts'
import type { Target } from './target-options.ts'

/** Prints the state of a resource, one `name: value` per line. Resolves with the exit code. */
export async function runStatus(target: Target, log: Log, signal: AbortSignal): Promise<number> {
  const { url } = target
  const found = await status(url, requestOptions(target, signal))
  if (found === null) return reportMissing(url, log)
  const { complete, ...properties } = found
  const state = complete ? 'complete' : 'incomplete'
  log.add({ event: 'status', url: url.href, state, ...properties })
  return DONE
}

/** Writes the bytes of a file into a resource. Resolves with the exit code. */
export async function runPatch(
  command: PatchCommand,
  log: Log,
  signal: AbortSignal,
): Promise<number> {
  const { url, file, at, contentType } = command
  // A patch is one request that may have to be repeated, while the standard input can be read only
  // once.
  const data = file === '-' ? await buffer(process.stdin) : file
  signal.throwIfAborted()
  const size = typeof data === 'string' ? (await stat(data)).size : data.byteLength
  const name = file === '-' ? 'standard input' : file
  const transfer = log.begin(name)
  try {
    await patch(url, [{ start: at, data }], {
      ...requestOptions(command, signal),
      ...(contentType === undefined ? {} : { contentType }),
      onProgress: (progress) => transfer.move(progress),
    })
    transfer.end({ event: 'written', name, url: url.href, size, position: at })
    return DONE
  } catch (error) {
    transfer.end(null)
    if (!(error instanceof ClientError) || error.status !== 412) throw error
    // The request has `If-Match: *`, so that 412 means that the resource does not exist (RFC 9110
    // §13.1.1).
    return reportMissing(url, log)
  }
}

/**
 * Removes resources. A failure does not stop the removal of the others. Resolves with the exit
 * code.
 */
export async function runRemove(
  command: RemoveCommand,
  log: Log,
  signal: AbortSignal,
): Promise<number> {
  let code = DONE
  // Remove one resource at a time, so that the lines have the order of the arguments. A removal is
  // quick.
  for (const target of [command, ...command.more]) {
    try {
      await removeOne(target, command.dryRun, log, signal)
    } catch (error) {
      signal.throwIfAborted()
      // If the command has one resource, the caller reports the failure as that of the whole
      // command.
      if (command.more.length === 0) throw error
      const exitCode = exitCodeOf(error)
      log.add({ event: 'error', name: target.url.href, message: describe(error), exitCode })
      code = FAILED
    }
  }
  return code
}

/** Removes a resource, or with `dryRun` only asks whether it exists. */
async function removeOne(
  target: Target,
  dryRun: boolean,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const { href } = target.url
  const options = requestOptions(target, signal)
  if (!dryRun) {
    log.add({ event: 'removed', url: href, existed: await remove(href, options) })
    return
  }
  // `HEAD` does not show whether the user may remove the file. Only `DELETE` would.
  const found = await status(href, options)
  const action = found === null ? 'none' : 'remove'
  const size = found?.size ?? null
  log.add({ event: 'plan', name: href, url: href, action, size, position: 0 })
}

/** Reports that a command has found no resource. Returns the exit code. */
function reportMissing(url: URL, log: Log): number {
  const message = `there is nothing at ${url.href}`
  log.add({ event: 'error', name: null, message, exitCode: FAILED })
  return FAILED
}
