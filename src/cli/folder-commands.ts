/** The commands that read the list of the server: `ls`, and `get --recursive`. */
import { lstat, mkdir, stat } from 'node:fs/promises'
import path from 'node:path'

import type { GetCommand, ListCommand } from './arguments.ts'
import { describe, DONE, exitCodeOf, worstOf } from './exit-codes.ts'
import { getFile } from './get.ts'
import { listFiles, type RemoteFile } from './listing.ts'
import type { Log } from './log.ts'
import { createPace } from './pace.ts'
import { runAll } from './run-all.ts'
import { hasCode, isUsableName } from './target.ts'

/** Prints the files of a folder. Resolves with the exit code. */
export async function runList(
  command: ListCommand,
  log: Log,
  signal: AbortSignal,
): Promise<number> {
  // Print the full path, and not the one below the URL, because `get` and `rm` take it as it is
  // printed.
  for (const { key, path: _path, ...file } of await listFiles(command, signal)) {
    log.add({ event: 'file', name: key, ...file })
  }
  return DONE
}

/**
 * Downloads the files of a folder. Incomplete ones are skipped with a remark, because they may
 * become complete at any time. A file that fails does not stop the others. Resolves with the exit
 * code.
 */
export async function runGetFolder(
  command: GetCommand,
  log: Log,
  signal: AbortSignal,
): Promise<number> {
  const { rate, concurrency, file: root } = command
  // The list is read once. A file that is added later is fetched by the next call of the same
  // command.
  const files = await listFiles(command, signal)
  for (const { key, url } of files.filter(({ complete }) => !complete)) {
    log.add({ event: 'skipped', name: key, url, reason: 'incomplete' })
  }
  const wanted = files.filter(({ complete }) => complete)
  // A misspelled URL or pattern would otherwise look like a success.
  if (files.length === 0) throw new Error(`there are no such files below ${command.url.href}`)
  const names = new Set(wanted.map((file) => file.path))
  // One pace for all files: the limit is that of the command and not that of each transfer.
  const pace = rate === null ? null : createPace(rate, Math.min(concurrency, wanted.length))

  async function fetchOne(file: RemoteFile): Promise<number> {
    const name = path.join(root, file.path)
    try {
      // Check the name before anything is written, because it comes from the server, and any user
      // that can upload may have chosen it.
      checkName(file.path, names)
      if (!command.dryRun) await makeFolders(root, file.path)
      // `get URL FOLDER` would write into the folder under the name from the URL.
      const there = await stat(name).catch(() => null)
      if (there?.isDirectory() === true) throw new Error(`${name} is a folder`)
      return await getFile({ url: new URL(file.url), file: name, pace }, command, log, signal)
    } catch (error) {
      const exitCode = exitCodeOf(error)
      if (!signal.aborted) log.add({ event: 'error', name, message: describe(error), exitCode })
      return exitCode
    }
  }

  return worstOf(await runAll(wanted, concurrency, signal, fetchOne))
}

/** Throws if the path of a file on the server can't be used as a local one. */
function checkName(file: string, names: ReadonlySet<string>): void {
  if (!file.split('/').every(isUsableName)) {
    throw new Error('the name on the server can not be a local name')
  }
  // `a` is downloaded into `a.part`, which would be the place of the other file.
  const other = [`${file}.part`, `${file}.part.json`].find((name) => names.has(name))
  if (other !== undefined) {
    throw new Error(`its incomplete download would overwrite ${other}; download it alone`)
  }
}

/**
 * Creates the folders of a file below the root, which may itself be a symbolic link. Links below it
 * are not followed: together with the names of the server they could lead to any file of the user.
 *
 * @throws Error if a part of the path is not a folder.
 */
async function makeFolders(root: string, file: string): Promise<void> {
  await mkdir(root, { recursive: true })
  let folder = root
  for (const part of file.split('/').slice(0, -1)) {
    folder = path.join(folder, part)
    // Another transfer may create the folder at the same time, so that EEXIST is not a failure.
    await mkdir(folder).catch((error: unknown) => {
      if (!hasCode(error, 'EEXIST')) throw error
    })
    // `lstat` does not follow a link. A process that replaces the folder by a link after this check
    // has the rights of the user, and needs no help of this command.
    if (!(await lstat(folder)).isDirectory()) {
      throw new Error(`${folder} is not a folder: remove it first`)
    }
  }
}
