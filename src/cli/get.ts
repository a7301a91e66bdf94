/**
 * The command `get`. It downloads into `FILE.part` and renames it when the download is complete, so
 * that an incomplete file never has the final name.
 */
import type { Progress } from '../client/node.ts'

import type { GetCommand } from './arguments.ts'
import { download, type Destination } from './download.ts'
import { DONE, summarize } from './exit-codes.ts'
import { formatSize, formatTime } from './format.ts'
import { openPart } from './part-file.ts'
import type { Report } from './report.ts'
import { StandardOutput } from './standard-output.ts'
import { findTarget } from './target.ts'

/** Runs the command. Resolves with the exit code. Rejects after a failure, which the caller reports. */
export async function runGet(
  command: GetCommand,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  if (command.file === '-') {
    return fetchInto(new StandardOutput(), 'standard output', command, report, signal)
  }
  const target = await findTarget(command.file, command.url, command.overwrite)
  const part = await openPart(target, command.url.href, command.overwrite)
  try {
    return await fetchInto(part, target, command, report, signal, async () => part.finish())
  } finally {
    await part.close()
  }
}

/**
 * Downloads into a destination, reports the progress, and calls `finish` when all bytes are written.
 */
async function fetchInto(
  destination: Destination,
  name: string,
  { url, headers, retries, wait }: GetCommand,
  report: Report,
  signal: AbortSignal,
  finish: () => Promise<void> = async () => undefined,
): Promise<number> {
  const task = report.begin(name)
  const startedAt = Date.now()
  if (destination.position > 0) task.note(`resuming at ${formatSize(destination.position)}`)
  try {
    await download({
      url,
      headers,
      retries,
      wait,
      signal,
      destination,
      onProgress: (progress: Progress) => task.move(progress),
      onWait: (delay, error) => {
        task.note(`trying again in ${Math.ceil((delay ?? 0) / 1000)} s: ${summarize(error)}`)
      },
    })
    await finish()
    const seconds = (Date.now() - startedAt) / 1000
    task.end(`complete, ${formatSize(destination.position)} in ${formatTime(seconds)}`)
    return DONE
  } catch (error) {
    task.end(null)
    throw error
  }
}
