/** Downloads a file, beside its final name until all of it is there. */
import { stat } from 'node:fs/promises'
import path from 'node:path'

import type { Progress } from '../client/node.ts'

import type { GetCommand } from './arguments.ts'
import { download } from './download.ts'
import { describe, DifferentError, DONE, UsageError } from './failure.ts'
import { formatSize, formatTime } from './format.ts'
import { openPart } from './part-file.ts'
import type { Report } from './report.ts'

/** Does the command. Resolves with the exit code. */
export async function runGet(
  { url, headers, retries, file, overwrite }: GetCommand,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  const target = await findTarget(file, url, overwrite)
  const part = await openPart(target, url.href)
  const task = report.begin(target)
  const startedAt = Date.now()
  if (part.position > 0) task.note(`going on at ${formatSize(part.position)}`)
  try {
    await download({
      url,
      headers,
      retries,
      signal,
      part,
      onProgress: (progress: Progress) => task.move(progress),
      onWait: (delay, error) => {
        task.note(`trying again in ${Math.ceil(delay / 1000)} s: ${describe(error)}`)
      },
    })
    await part.finish()
    const seconds = (Date.now() - startedAt) / 1000
    task.end(`complete, ${formatSize(part.position)} in ${formatTime(seconds)}`)
    return DONE
  } catch (error) {
    task.end(null)
    throw error
  } finally {
    await part.close()
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
