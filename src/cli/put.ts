/** The command `put`, which uploads files, several at a time. */
import mime from 'mime'

import { upload, type Progress, type Upload, type UploadOptions } from '../client/node.ts'

import type { PutCommand } from './arguments.ts'
import { describe, DIFFERENT, DONE, exitCodeOf, FAILED, summarize } from './exit-codes.ts'
import { collectFiles, type FileToSend } from './files.ts'
import { formatSize, formatTime } from './format.ts'
import type { Report, Task } from './report.ts'

/**
 * Runs the command. Resolves with the exit code. A file that fails does not stop the others. If files
 * have failed in several ways, a failure takes precedence over a refused replacement.
 */
export async function runPut(
  command: PutCommand,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  const { files, failures, skipped } = await collectFiles(command.files, command.url)
  for (const line of [...failures, ...skipped]) report.error(`partial-upload: ${line}`)
  const codes = new Set(failures.length > 0 ? [FAILED] : [])
  // The workers share one iterator, so that each takes the next file that no other has taken.
  const queue = files.values()

  async function work(): Promise<void> {
    for (const file of queue) {
      if (signal.aborted) return
      codes.add(await send(file, command, report, signal))
    }
  }

  await Promise.all(Array.from({ length: Math.min(command.concurrency, files.length) }, work))
  if (codes.has(FAILED)) return FAILED
  return codes.has(DIFFERENT) ? DIFFERENT : DONE
}

/** Uploads one file, and reports its result. Resolves with the exit code for this file. */
async function send(
  { name, path, url }: FileToSend,
  { headers, retries, wait, overwrite, contentType }: PutCommand,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  const task = report.begin(name)
  const type = contentType ?? mime.getType(path ?? new URL(url).pathname)
  const { onProgress, onState, outcome } = follow(task)
  const running: Upload = upload(url, path ?? process.stdin, {
    headers,
    retries,
    waitForServer: wait,
    overwrite,
    signal,
    ...(type === null ? {} : { contentType: type }),
    onProgress,
    onState,
  })
  try {
    await running.done
    task.end(outcome())
    return DONE
  } catch (error) {
    task.end(null)
    if (!signal.aborted)
      report.error(
        `partial-upload: ${name}: ${describe(error, overwrite ? null : '--overwrite replaces it')}`,
      )
    return exitCodeOf(error)
  }
}

/**
 * Returns callbacks that report an upload while it runs, and `outcome`, which describes its result
 * after that.
 */
function follow(task: Task): Required<Pick<UploadOptions, 'onProgress' | 'onState'>> & {
  readonly outcome: () => string
} {
  const startedAt = Date.now()
  const progress: { last: Progress | null } = { last: null }
  let isUnchanged = false

  return {
    onProgress: (current) => {
      const { sent, size } = current
      // If the first report is not 0, the server already has a part of the file.
      if (progress.last === null && sent > 0 && sent !== size) {
        task.note(`resuming at ${formatSize(sent)}`)
      }
      progress.last = current
      task.move(current)
    },
    onState: (status) => {
      if (status.state === 'done') ({ isUnchanged } = status)
      if (status.state !== 'waiting') return
      const delay = Math.ceil((status.delay ?? 0) / 1000)
      task.note(`trying again in ${delay} s: ${summarize(status.error)}`)
    },
    outcome: () => {
      if (isUnchanged) return 'skipped (same)'
      const size = formatSize(progress.last?.size ?? progress.last?.sent ?? 0)
      return `complete, ${size} in ${formatTime((Date.now() - startedAt) / 1000)}`
    },
  }
}
