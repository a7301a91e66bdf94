/** Uploads files, several at a time. */
import mime from 'mime'

import { upload, type Progress } from '../client/node.ts'

import type { PutCommand } from './arguments.ts'
import { describe, DIFFERENT, DONE, exitCodeOf, FAILED } from './failure.ts'
import { collectFiles, type FileToSend } from './files.ts'
import { formatSize, formatTime } from './format.ts'
import type { Report } from './report.ts'

/** Does the command. Resolves with the exit code: one file that fails does not stop the others. */
export async function runPut(
  command: PutCommand,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  const { files, failures } = await collectFiles(command.files, command.url)
  for (const failure of failures) report.error(`partial-upload: ${failure}`)
  const codes = new Set(failures.length > 0 ? [FAILED] : [])
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

async function send(
  { name, path, url }: FileToSend,
  { headers, retries, overwrite, contentType }: PutCommand,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  const task = report.begin(name)
  const startedAt = Date.now()
  const type = contentType ?? mime.getType(path ?? new URL(url).pathname)
  let last: Progress | null = null
  const running = upload(url, path ?? process.stdin, {
    headers,
    retries,
    overwrite,
    signal,
    ...(type === null ? {} : { contentType: type }),
    onProgress: (progress) => {
      const isFirst = last === null
      last = progress
      if (isFirst && progress.sent > 0 && progress.sent !== progress.size) {
        task.note(`going on at ${formatSize(progress.sent)}`)
      }
      task.move(progress)
    },
    onState: (status) => {
      if (status.state !== 'waiting') return
      const delay = Math.ceil((status.delay ?? 0) / 1000)
      task.note(`trying again in ${delay} s: ${describe(status.error)}`)
    },
  })
  try {
    await running.done
    const size = formatSize(sizeOf(last))
    task.end(`complete, ${size} in ${formatTime((Date.now() - startedAt) / 1000)}`)
    return DONE
  } catch (error) {
    task.end(null)
    if (!signal.aborted) report.error(`partial-upload: ${name}: ${describe(error)}`)
    return exitCodeOf(error)
  }
}

/** A function, because the compiler does not see that a callback has set the variable. */
function sizeOf(progress: Progress | null): number {
  return progress?.size ?? progress?.sent ?? 0
}
