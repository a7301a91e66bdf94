/** The commands that are one request. */
import { openAsBlob } from 'node:fs'
import { buffer } from 'node:stream/consumers'

import { ClientError, patch, remove, status, type Progress } from '../client/node.ts'

import type { PatchCommand, Target } from './arguments.ts'
import { DONE, FAILED } from './failure.ts'
import { formatSize } from './format.ts'
import type { Report } from './report.ts'

/** Prints what is there. */
export async function runStatus(
  { url, headers, retries }: Target,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  const found = await status(url, { headers, retries, signal })
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

/** Writes a file into what is there. */
export async function runPatch(
  { url, headers, retries, file, at, contentType }: PatchCommand,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  const data = file === '-' ? new Blob([await buffer(process.stdin)]) : await openAsBlob(file)
  signal.throwIfAborted()
  const name = file === '-' ? 'standard input' : file
  const task = report.begin(name)
  const type = contentType === undefined ? {} : { contentType }
  const onProgress = (progress: Progress): void => task.move(progress)
  try {
    await patch(url, [{ start: at, data }], { headers, retries, signal, onProgress, ...type })
    task.end(`written, ${formatSize(data.size)} at ${at}`)
    return DONE
  } catch (error) {
    task.end(null)
    if (!(error instanceof ClientError) || error.status !== 412) throw error
    // The one condition of the request is that something is there.
    report.error(`partial-upload: there is nothing at ${url.href}`)
    return FAILED
  }
}

/** Removes what is there. */
export async function runRemove(
  { url, headers, retries, quiet }: Target,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  const wasThere = await remove(url, { headers, retries, signal })
  if (!quiet) report.print(`${url.href}: ${wasThere ? 'removed' : 'there was nothing'}`)
  return DONE
}
