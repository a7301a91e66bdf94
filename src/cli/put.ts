/** The command `put`, which uploads files, several at a time. */
import { createHash } from 'node:crypto'

import mime from 'mime'

import type { Progress, UploadOptions } from '../client/node.ts'
import { openPath } from '../client/source/node.ts'
import { sourceOpener } from '../client/source/source.ts'
import { startUpload } from '../client/upload.ts'

import type { PutCommand } from './arguments.ts'
import type { CompleteEvent, SkippedEvent } from './events.ts'
import { describe, exitCodeOf, FAILED, DONE, summarize, worstOf } from './exit-codes.ts'
import { collectFiles, type FileToSend } from './files.ts'
import type { Log, Transfer } from './log.ts'
import { createPace, type Pace } from './pace.ts'
import { planUpload } from './plan.ts'
import { digestOf, findWithDigest, platformOf, requestOptions, toHex } from './remote.ts'
import { runAll } from './run-all.ts'

/**
 * Runs the command. Resolves with the exit code. A file that fails does not stop the others. If
 * files have failed in several ways, a failure takes precedence over a refused replacement.
 */
export async function runPut(command: PutCommand, log: Log, signal: AbortSignal): Promise<number> {
  const { rate, concurrency } = command
  const { files, failures, skipped } = await collectFiles(command.files, command.url, command)
  for (const { name, message } of failures) {
    log.add({ event: 'error', name, message, exitCode: FAILED })
  }
  for (const { name, message } of skipped) {
    log.add({ event: 'skipped', name, url: null, reason: message })
  }
  const pace = rate === null ? null : createPace(rate, Math.min(concurrency, files.length))
  const codes = await runAll(files, concurrency, signal, async (file) =>
    command.dryRun
      ? planUpload(file, command, log, signal)
      : send(file, command, log, pace, signal),
  )
  return worstOf([...codes, failures.length > 0 ? FAILED : DONE])
}

/** Uploads one file, and reports its result. Resolves with the exit code for this file. */
async function send(
  file: FileToSend,
  command: PutCommand,
  log: Log,
  pace: Pace | null,
  signal: AbortSignal,
): Promise<number> {
  const { name, path, url } = file
  const transfer = log.begin(name)
  const { onProgress, onState, outcome } = follow(name, transfer)
  // The standard input can be read only once, so that its digest is computed on the way.
  const input = createHash('sha256')
  const open = path === null ? sourceOpener(hashing(process.stdin, input)) : () => openPath(path)
  const options = { ...uploadOptions(file, command, signal), onProgress, onState }
  try {
    const response = await startUpload(url, open, options, platformOf(pace)).done
    const digest = async (): Promise<string> =>
      path === null ? `sha-256=:${input.digest('base64')}:` : digestOf(path, signal)
    const sha256 = command.checksum ? await confirm(url, await digest(), command, signal) : null
    transfer.end(outcome(placeOf(response, url), sha256))
    return DONE
  } catch (error) {
    transfer.end(null)
    const exitCode = exitCodeOf(error)
    // If the option was given already, a different file at the URL has another cause, such as a
    // race, and the advice would be wrong.
    const remedy = command.overwrite ? null : '--overwrite replaces it'
    // After Ctrl-C every running transfer fails. One line about the whole command is enough.
    if (!signal.aborted) {
      log.add({ event: 'error', name, message: describe(error, remedy), exitCode })
    }
    return exitCode
  }
}

/** Returns the options of the client for a file. */
function uploadOptions(
  { path, url }: FileToSend,
  command: PutCommand,
  signal: AbortSignal,
): UploadOptions {
  // The browser's Blob knows its type, a file does not. The name in the URL is the only hint at the
  // type of the standard input.
  const type = command.contentType ?? mime.getType(path ?? new URL(url).pathname)
  return {
    ...requestOptions(command, signal),
    overwrite: command.overwrite,
    ...(type === null ? {} : { contentType: type }),
    // `verify` compares the stored bytes before a resumption. By default name, date and length are
    // enough, because the server verifies the whole file in the end. Then a wrong guess costs the
    // whole transfer.
    ...(command.checksum ? { verify: true, reprDigest: true } : {}),
  }
}

/**
 * Returns the URL of an uploaded file. An app may publish it elsewhere and name that place in its
 * answer (RFC 9110 §10.2.2). A value that is not a URL must not turn the success into a failure.
 */
function placeOf({ headers }: Response, url: string): string {
  const location = headers.get('Location') ?? ''
  return location !== '' && URL.canParse(location, url) ? new URL(location, url).href : url
}

/** Passes chunks on, and adds them to a hash. */
async function* hashing(
  chunks: AsyncIterable<Uint8Array>,
  hash: { update(bytes: Uint8Array): unknown },
): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of chunks) {
    // Hash before the yield, because the consumer may reuse the memory of the chunk after it.
    hash.update(chunk)
    yield chunk
  }
}

/**
 * Asks the server for the digest of the finished file, and compares it. The upload has already sent
 * the digest with the last segment. A server that ignores the field would not have verified it, so
 * that only a digest of the server proves that it was. Returns it in hexadecimal.
 *
 * @throws Error if the server has another digest or reports none.
 */
async function confirm(
  url: string,
  own: string,
  command: PutCommand,
  signal: AbortSignal,
): Promise<string> {
  const found = await findWithDigest(url, command, signal)
  if (found?.complete === true && found.digest === own) return toHex(own)
  throw new Error(
    typeof found?.digest === 'string'
      ? 'the file on the server has another SHA-256 than the local file'
      : 'the file was sent, but the server does not report a SHA-256 to compare it with',
  )
}

/**
 * Returns callbacks that report an upload while it runs, and `outcome`, which returns its result
 * after that.
 */
function follow(
  name: string,
  transfer: Transfer,
): Required<Pick<UploadOptions, 'onProgress' | 'onState'>> & {
  readonly outcome: (url: string, sha256: string | null) => CompleteEvent | SkippedEvent
} {
  const startedAt = Date.now()
  // Callbacks assign it, which the compiler does not see for a `let`: it would narrow it to null.
  const progress: { last: Progress | null } = { last: null }
  let isUnchanged = false

  return {
    onProgress: (current) => {
      const { sent, size } = current
      // If the first report is not 0, the server already has a part of the file.
      if (progress.last === null && sent > 0 && sent !== size) {
        transfer.add({ event: 'resume', name, position: sent })
      }
      progress.last = current
      transfer.move(current)
    },
    onState: (status) => {
      if (status.state === 'done') ({ isUnchanged } = status)
      if (status.state !== 'waiting') return
      const delay = status.delay === null ? null : status.delay / 1000
      transfer.add({ event: 'retry', name, delay, message: summarize(status.error) })
    },
    outcome: (url, sha256) => {
      // The client sets `isUnchanged` only after it has compared all bytes or digests.
      if (isUnchanged) return { event: 'skipped', name, url, reason: 'same' }
      const size = progress.last?.size ?? progress.last?.sent ?? 0
      const seconds = (Date.now() - startedAt) / 1000
      return { event: 'complete', command: 'put', name, url, size, seconds, sha256 }
    },
  }
}
