/** The commands `status`, `patch` and `rm`, each of which is one request. */
import { stat } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'

import { ClientError, patch, remove, status } from '../client/node.ts'

import type { PatchCommand, RemoveCommand, Target } from './arguments.ts'
import { describe, DONE, FAILED } from './exit-codes.ts'
import { formatSize } from './format.ts'
import type { Report } from './report.ts'

/** Prints the state of a resource, one `name: value` per line. Resolves with the exit code. */
export async function runStatus(
  { url, headers, retries, wait }: Target,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  const found = await status(url, { headers, retries, waitForServer: wait, signal })
  if (found === null) {
    report.error(`partial-upload: there is nothing at ${url.href}`)
    return FAILED
  }
  const { complete, size, length, type, etag } = found
  report.print(`state: ${complete ? 'complete' : 'incomplete'}`)
  report.print(`size: ${size}`)
  if (length !== null) report.print(`length: ${length}`)
  if (type !== null) report.print(`type: ${type}`)
  if (etag !== null) report.print(`etag: ${etag}`)
  return DONE
}

/** Writes the bytes of a file into a resource. Resolves with the exit code. */
export async function runPatch(
  { url, headers, retries, wait, file, at, contentType }: PatchCommand,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  const data = file === '-' ? await buffer(process.stdin) : file
  signal.throwIfAborted()
  const size = typeof data === 'string' ? (await stat(data)).size : data.byteLength
  const task = report.begin(file === '-' ? 'standard input' : file)
  try {
    await patch(url, [{ start: at, data }], {
      headers,
      retries,
      waitForServer: wait,
      signal,
      ...(contentType === undefined ? {} : { contentType }),
      onProgress: (progress) => task.move(progress),
    })
    task.end(`written, ${formatSize(size)} at position ${at}`)
    return DONE
  } catch (error) {
    task.end(null)
    if (!(error instanceof ClientError) || error.status !== 412) throw error
    // The request has `If-Match: *`, so that 412 means that the resource does not exist (RFC 9110
    // §13.1.1).
    report.error(`partial-upload: there is nothing at ${url.href}`)
    return FAILED
  }
}

/**
 * Removes resources. A failure does not stop the removal of the others. Resolves with the exit code.
 */
export async function runRemove(
  command: RemoveCommand,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  let code = DONE
  for (const { url, headers, retries, wait, quiet } of [command, ...command.more]) {
    try {
      const wasThere = await remove(url, { headers, retries, waitForServer: wait, signal })
      if (!quiet) report.print(`${url.href}: ${wasThere ? 'removed' : 'nothing to remove'}`)
    } catch (error) {
      signal.throwIfAborted()
      if (command.more.length === 0) throw error
      report.error(`partial-upload: ${url.href}: ${describe(error)}`)
      code = FAILED
    }
  }
  return code
}
