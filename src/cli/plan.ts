/** What `put` would do with a file, for `put --dry-run`. */
import { createHash } from 'node:crypto'

import { hasSameBytes } from '../client/comparison.ts'
import { createSourceHash } from '../client/digest.ts'
import type { Connection } from '../client/exchange.ts'
import { find, type Found } from '../client/resource.ts'
import type { ByteSource } from '../client/source/byte-source.ts'
import { openPath } from '../client/source/node.ts'
import { withRetries } from '../client/with-retries.ts'

import type { PutCommand } from './arguments.ts'
import type { PlanEvent } from './events.ts'
import { describe, DIFFERENT, DONE, exitCodeOf, UsageError } from './exit-codes.ts'
import type { FileToSend } from './files.ts'
import type { Log } from './log.ts'
import { platformOf, requestOptions } from './remote.ts'

/**
 * Reports what an upload would do, and sends only `HEAD`, and `GET` to read stored bytes back. The
 * bytes are compared as in an upload, so that "skipped" is as certain as there. Resolves with the
 * exit code that the upload would have.
 *
 * @throws UsageError for the standard input, which would be gone after it was compared.
 */
export async function planUpload(
  { name, path, url }: FileToSend,
  command: PutCommand,
  log: Log,
  signal: AbortSignal,
): Promise<number> {
  // To compare the standard input means to read it, and the user would have to produce it again.
  if (path === null) throw new UsageError('--dry-run can not read the standard input')
  try {
    // Compare with the functions of the client, because a comparison of its own could decide
    // otherwise than `put` does later.
    const options = requestOptions(command, signal)
    const plan = await withRetries(url, options, platformOf(), async (connection) => {
      // Open the file for each attempt, because it may have changed since the last one.
      const source = await openPath(path)
      try {
        return await decide(connection, source, command.overwrite)
      } finally {
        await source.close?.()
      }
    })
    log.add({ event: 'plan', name, url, ...plan })
    return plan.action === 'refuse' ? DIFFERENT : DONE
  } catch (error) {
    const exitCode = exitCodeOf(error)
    if (!signal.aborted) log.add({ event: 'error', name, message: describe(error), exitCode })
    return exitCode
  }
}

/** Decides what an upload would do with the resource that it finds. */
async function decide(
  connection: Connection,
  source: ByteSource,
  overwrite: boolean,
): Promise<Pick<PlanEvent, 'action' | 'size' | 'position'>> {
  const { size } = source
  const found = await find(connection)
  if (found === null) return { action: 'upload', size, position: 0 }
  // Null means that the bytes can't be compared. An upload treats that like a difference, because
  // "same" and "resumed" must be proven.
  const hash = createSourceHash(() => createHash('sha256'), source)
  if (fits(found, size) && (await hasSameBytes(connection, found, source, hash)) === true) {
    return { action: found.complete ? 'skip' : 'resume', size, position: found.size }
  }
  return { action: overwrite ? 'replace' : 'refuse', size, position: 0 }
}

/**
 * Whether the lengths allow that the stored bytes are the beginning of the source, or all of it.
 */
function fits({ complete, size, length }: Found, own: number | null): boolean {
  if (own === null) return false
  return complete ? size === own : size <= own && (length === null || length === own)
}
