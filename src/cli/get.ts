/** Downloads a file, beside its final name until all of it is there. */
import { stat } from 'node:fs/promises'
import path from 'node:path'

import type { Progress } from '../client/node.ts'

import type { GetCommand } from './arguments.ts'
import { download, type Destination } from './download.ts'
import { describe, DifferentError, DONE, UsageError } from './failure.ts'
import { formatSize, formatTime } from './format.ts'
import { openPart } from './part-file.ts'
import type { Report } from './report.ts'
import { StandardOutput } from './standard-output.ts'

/** Does the command. Resolves with the exit code. */
export async function runGet(
  command: GetCommand,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  if (command.file === '-') {
    return fetchInto(new StandardOutput(), 'standard output', command, report, signal)
  }
  const target = await findTarget(command.file, command.url, command.overwrite)
  const part = await openPart(target, command.url.href)
  try {
    return await fetchInto(part, target, command, report, signal, async () => part.finish())
  } finally {
    await part.close()
  }
}

async function fetchInto(
  destination: Destination,
  name: string,
  { url, headers, retries }: GetCommand,
  report: Report,
  signal: AbortSignal,
  finish: () => Promise<void> = async () => undefined,
): Promise<number> {
  const task = report.begin(name)
  const startedAt = Date.now()
  if (destination.position > 0) task.note(`going on at ${formatSize(destination.position)}`)
  try {
    await download({
      url,
      headers,
      retries,
      signal,
      destination,
      onProgress: (progress: Progress) => task.move(progress),
      onWait: (delay, error) => {
        task.note(`trying again in ${Math.ceil((delay ?? 0) / 1000)} s: ${describe(error)}`)
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

async function findTarget(file: string, url: URL, overwrite: boolean): Promise<string> {
  const found = await stat(file).catch(() => null)
  if (found?.isDirectory() === true) {
    const name = decodeURIComponent(url.pathname.split('/').at(-1) ?? '')
    // What the URL says must not lead out of the folder.
    if (name === '' || /[\\/\0]|^\.\.?$/.test(name)) {
      throw new UsageError(`"${file}" is a folder, and the URL ends in no name for a file`)
    }
    return findTarget(path.join(file, name), url, overwrite)
  }
  if (found !== null && !overwrite) {
    throw new DifferentError(`${file} is there already; --overwrite replaces it`)
  }
  return file
}
