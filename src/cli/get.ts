/**
 * The command `get`. It downloads into `FILE.part` and renames it when the download is complete, so
 * that an incomplete file never has the final name.
 */
import { ClientError } from '../client/error.ts'

import type { GetCommand } from './arguments.ts'
import type { Destination } from './destination.ts'
import { download } from './download.ts'
import { DIFFERENT, DONE, FAILED, summarize } from './exit-codes.ts'
import type { Log } from './log.ts'
import { createPace, type Pace } from './pace.ts'
import { openPart } from './part-file.ts'
import { digestOf, findWithDigest, toHex } from './remote.ts'
import { StandardOutput } from './standard-output.ts'
import { existsError, findTarget, type LocalTarget } from './target.ts'

/** Runs the command for one file. Resolves with the exit code. Rejects after a failure. */
export async function runGet(command: GetCommand, log: Log, signal: AbortSignal): Promise<number> {
  const { url, file, rate } = command
  const pace = rate === null ? null : createPace(rate, 1)
  // The standard output can't be compared or replaced, so that it needs neither a target nor a part
  // file.
  if (file !== '-') return getFile({ url, file, pace }, command, log, signal)
  if (command.dryRun) return planDownload(url, 'standard output', false, command, log, signal)
  const job = { url, name: 'standard output', pace, destination: new StandardOutput() }
  return fetchInto(job, command, log, signal)
}

/** One file to download. */
export interface FileToGet {
  readonly url: URL
  /** Path of the file or of its folder. */
  readonly file: string
  readonly pace: Pace | null
}

/**
 * Downloads a file, unless the target already has the same bytes. Resolves with the exit code.
 *
 * @throws DifferentError if the target is another file, which must not be replaced.
 */
export async function getFile(
  { url, file, pace }: FileToGet,
  command: GetCommand,
  log: Log,
  signal: AbortSignal,
): Promise<number> {
  const { overwrite, dryRun } = command
  const target = await findTarget(file, url)
  const name = target.path
  // An equal file is a success even without `--overwrite`, because a script repeats the whole
  // command after a failure of one of its files.
  if (await isSame(target, url, command, signal)) {
    const place = { name, url: url.href }
    if (dryRun) log.add({ event: 'plan', action: 'skip', ...place, size: target.size, position: 0 })
    else log.begin(name).end({ event: 'skipped', ...place, reason: 'same' })
    return DONE
  }
  if (dryRun) return planDownload(url, name, target.size !== null, command, log, signal)
  if (target.size !== null && !overwrite) throw existsError(name)
  // `publish` checks again that the name is still free. Here the check only saves a useless
  // download.
  const part = await openPart(name, url.href, overwrite)
  try {
    const job = { url, name, pace, destination: part, finish: async () => part.finish() }
    return await fetchInto(job, command, log, signal)
  } finally {
    // Close after a success and after a failure. `close` removes the bytes only if a later command
    // could not continue them.
    await part.close()
  }
}

/**
 * Whether the local file has the same bytes as the one on the server. Only equal SHA-256 digests
 * prove that, so that the file counts as different if the server reports none or can't be reached.
 */
async function isSame(
  { path, size }: LocalTarget,
  url: URL,
  command: GetCommand,
  signal: AbortSignal,
): Promise<boolean> {
  if (size === null) return false
  try {
    const found = await findWithDigest(url, command, signal)
    // The size is compared first, because the digest of a large local file takes long.
    if (found?.complete !== true || found.size !== size || found.digest === null) return false
    return found.digest === (await digestOf(path, signal))
  } catch (error) {
    signal.throwIfAborted()
    // The download, or the refusal to replace the file, reports what is wrong with the server.
    if (error instanceof ClientError) return false
    throw error
  }
}

/** Reports what a download would do. Resolves with the exit code that it would have. */
async function planDownload(
  url: URL,
  name: string,
  exists: boolean,
  command: GetCommand,
  log: Log,
  signal: AbortSignal,
): Promise<number> {
  const found = await findWithDigest(url, command, signal)
  if (found?.complete !== true) {
    const message =
      found === null
        ? 'there is nothing at this URL'
        : 'the upload of this file to the server is not complete yet; try again later'
    log.add({ event: 'error', name, message, exitCode: FAILED })
    return FAILED
  }
  // The caller has compared the digests, so that an existing file is a different one.
  const occupied = command.overwrite ? 'replace' : 'refuse'
  const action = exists ? occupied : 'download'
  log.add({ event: 'plan', name, url: url.href, action, size: found.size, position: 0 })
  return action === 'refuse' ? DIFFERENT : DONE
}

/** A download whose destination is open. */
interface OpenJob {
  readonly url: URL
  readonly name: string
  readonly pace: Pace | null
  readonly destination: Destination
  /** Called when all bytes are written. */
  readonly finish?: () => Promise<void>
}

/** Downloads into a destination, and reports the progress and the result. */
async function fetchInto(
  { url, name, pace, destination, finish }: OpenJob,
  { headers, retries, timeout, wait }: GetCommand,
  log: Log,
  signal: AbortSignal,
): Promise<number> {
  const transfer = log.begin(name)
  const startedAt = Date.now()
  const { position } = destination
  if (position > 0) transfer.add({ event: 'resume', name, position })
  try {
    const digest = await download({
      ...{ url, headers, retries, timeout, wait, signal, destination, pace },
      onProgress: (progress) => transfer.move(progress),
      onWait: (delay, error) => {
        const seconds = delay === null ? null : delay / 1000
        transfer.add({ event: 'retry', name, delay: seconds, message: summarize(error) })
      },
    })
    // Finish before the report, because a file without its final name and `fsync` could still be
    // lost.
    await finish?.()
    transfer.end({
      event: 'complete',
      command: 'get',
      name,
      url: url.href,
      size: destination.position,
      seconds: (Date.now() - startedAt) / 1000,
      sha256: digest === null ? null : toHex(digest),
    })
    return DONE
  } catch (error) {
    transfer.end(null)
    throw error
  }
}
