/**
 * Fencing: a process that was halted in the middle of a change, and whose lock was taken over
 * meanwhile, must not change anything when it resumes. A check of the lock is not enough, because
 * the process may be halted between the check and the change. All versions of a resource share two
 * names, that of the record and that of the published file. Each change of one of these names is
 * therefore a rename from or into a ticket: a temporary file or a directory, which a successor
 * removes before its own change.
 *
 *     process A                   process B, its successor
 *     creates its ticket
 *     checks its lock: valid
 *     is halted
 *                                 takes over the lock
 *                                 removes the ticket
 *     resumes, renames: ENOENT
 *
 * If A creates its ticket only after B has removed tickets, A checks its lock after the takeover
 * and stops. B knows the name of A's ticket: both derive it from the tag of the record, which A has
 * read before its change and B after the takeover.
 *
 * Bytes that a process writes into an open data file are fenced in another way
 * (`lock/takeover-note.ts`).
 */

import { link, lstat, mkdir, open, readdir, rename, rmdir, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { IS_WINDOWS, errorCode, ifThere, isFull, sync } from './io.ts'
import { exists } from './metadata.ts'
import { stagedPath } from './paths.ts'
import { makeParents } from './parents.ts'
import type { ResourcePaths } from './paths.ts'
import { formatRecord, fileFingerprint } from './record.ts'
import type { Durability, FsRecord } from './record.ts'
import { replaceFile } from './windows.ts'

/**
 * The part of the current record from which the name of its ticket is derived; null if the resource
 * has no record.
 */
type Tagged = Pick<FsRecord, 'tag'> | null

/**
 * Throws if this process must not change the resource any more, because it has lost the lock or
 * another writer has changed the resource.
 */
export type AssertValid = () => void

/**
 * Name under which a record is moved into the ticket directory. A published file is moved there
 * under its fingerprint.
 */
const RECORD = 'record'

/**
 * Largest number of attempts to move a file into the ticket directory, while a sweep of another
 * process removes the empty directory again and again.
 */
const MAX_TRIES = 100

/** Returns whether some process has begun to replace or to remove the version of `record`. */
export async function hasTicket(paths: ResourcePaths, record: Tagged): Promise<boolean> {
  return (
    (await exists(paths, newRecordPath(paths, record))) ||
    (await exists(paths, retiredPath(paths, record)))
  )
}

/**
 * Removes the tickets of the version of `record`, so that no earlier owner of the lock can replace
 * or remove it any more. The caller holds the lock, and reads the record again afterwards, because
 * an earlier owner may have completed its change just before.
 */
export async function fence(paths: ResourcePaths, record: Tagged): Promise<void> {
  await ifThere(unlink(newRecordPath(paths, record)))
  await clearRetired(paths, retiredPath(paths, record))
}

/**
 * Replaces the record of `old` by `record`. With durability `now` the new record survives a power
 * cut when the call resolves.
 */
export async function writeRecord(
  paths: ResourcePaths,
  old: Tagged,
  record: FsRecord,
  durability: Durability,
  assertValid: AssertValid,
): Promise<void> {
  await putRecord(paths, old, record, durability, assertValid)
  if (durability === 'now') await sync(paths.staging)
}

/**
 * Writes `record` to a temporary file, and renames that over the record of `old`, so that a reader
 * finds the old or the new record and never a part of one. If the call rejects, nothing has
 * changed. The rename is not durable before the caller has fsynced the directory.
 */
export async function putRecord(
  paths: ResourcePaths,
  old: Tagged,
  record: FsRecord,
  durability: Durability,
  assertValid: AssertValid,
): Promise<void> {
  const path = newRecordPath(paths, old)
  assertValid()
  try {
    const file = await createNew(path)
    try {
      await file.writeFile(formatRecord(record))
      if (durability === 'now') await file.sync()
    } finally {
      await file.close()
    }
    assertValid()
    await replaceFile(path, paths.record)
  } catch (error) {
    // After a takeover the file under this name may be the ticket of the successor, which must
    // stay.
    assertValid()
    // A sweep removes the file later. The first error names the cause.
    await unlink(path).catch(() => {})
    throw error
  }
}

/**
 * Creates the temporary file. If one exists under this name, it was left by a process that has died
 * or that has lost the lock, and is removed.
 */
async function createNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx')
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
    await ifThere(unlink(path))
    return open(path, 'wx')
  }
}

/** Removes the record, unless this process has lost its lock. */
export async function retireRecord(
  paths: ResourcePaths,
  record: Tagged,
  assertValid: AssertValid,
): Promise<void> {
  const found = await ifThere(lstat(paths.record))
  if (found !== null) await retire(paths, record, paths.record, RECORD, assertValid)
}

/**
 * Removes the published file with this fingerprint, unless this process has lost its lock. A file
 * with another fingerprint belongs to another program and stays. Returns whether the file was
 * removed.
 */
export async function retirePublished(
  paths: ResourcePaths,
  record: Tagged,
  fingerprint: string,
  assertValid: AssertValid,
): Promise<boolean> {
  if (!(await isPublished(paths, fingerprint))) return false
  await retire(paths, record, paths.published, fingerprint, assertValid)
  return !(await isPublished(paths, fingerprint))
}

async function isPublished({ published }: ResourcePaths, fingerprint: string): Promise<boolean> {
  const found = await ifThere(lstat(published, { bigint: true }))
  return found?.isFile() === true && fileFingerprint(found) === fingerprint
}

/**
 * Moves the file at `path` into the ticket directory and unlinks it there. The rename and not the
 * unlink is the change, because an unlink can't be fenced: it succeeds whichever file has the name
 * by then.
 */
async function retire(
  paths: ResourcePaths,
  record: Tagged,
  path: string,
  name: string,
  assertValid: AssertValid,
): Promise<void> {
  const directory = retiredPath(paths, record)
  for (let tries = 1; ; tries += 1) {
    try {
      await makeDirectory(directory)
      assertValid()
      await rename(path, `${directory}/${name}`)
      break
    } catch (error) {
      assertValid()
      // On a full disk the directory can't be created, and a rename can't leave the file system of
      // a mount. The file is then unlinked at its path, where only the check of the lock protects
      // it.
      if (isFull(error) || errorCode(error) === 'EXDEV') return void (await ifThere(unlink(path)))
      if (errorCode(error) !== 'ENOENT' || tries === MAX_TRIES) throw error
      if ((await ifThere(lstat(path))) === null) break
    }
  }
  await clearRetired(paths, directory)
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
  }
}

/**
 * Unlinks all files in a ticket directory, and removes the directory, whichever process has moved
 * them there.
 */
async function clearRetired(paths: ResourcePaths, directory: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const names = await ifThere(readdir(directory))
    if (names === null) return
    for (const name of names) {
      await removeRetired(paths, `${directory}/${name}`, name)
    }
    try {
      await ifThere(rmdir(directory))
      return
    } catch (error) {
      // Windows keeps an unlinked file in its directory until the last reader has closed it.
      if (IS_WINDOWS && isNotEmpty(error)) return
      // A halted process has resumed, and has moved another file into the directory meanwhile.
      if (!isNotEmpty(error) || tries === MAX_TRIES) throw error
    }
  }
}

function isNotEmpty(error: unknown): boolean {
  return errorCode(error) === 'ENOTEMPTY'
}

/**
 * Removes a ticket directory that a crash has left. A process that is about to use the directory
 * finds it gone (ENOENT) and creates it again. A file of another program stays there, until the
 * next writer of the resource puts it back.
 */
export async function sweepRetired(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = `${directory}/${name}`
    const found = await ifThere(lstat(path, { bigint: true }))
    if (found !== null && (name === RECORD || fileFingerprint(found) === name))
      await ifThere(unlink(path))
  }
  await ifThere(rmdir(directory))
}

async function removeRetired(paths: ResourcePaths, path: string, name: string): Promise<void> {
  const found = await ifThere(lstat(path, { bigint: true }))
  if (found === null) return
  // Another program has replaced the file after the fingerprint was checked and before the rename.
  // Its file is put back at the path.
  if (name !== RECORD && fileFingerprint(found) !== name) await putBack(paths, path)
  await ifThere(unlink(path))
}

/**
 * Gives a file its published path again, unless the path has another file by now. A hard link is
 * used because a rename would replace that file.
 */
async function putBack(paths: ResourcePaths, path: string): Promise<void> {
  await makeParents(paths)
  try {
    await link(path, paths.published)
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error // The path has a newer file, which stays.
  }
}

/** Returns the path of the ticket for a new record: the temporary file that replaces `record`. */
function newRecordPath(paths: ResourcePaths, record: Tagged): string {
  return stagedPath(paths, `${ticketName(paths, record)}.tmp`)
}

/**
 * Returns the path of the ticket for a removal: the directory into which files of the version of
 * `record` are moved.
 */
function retiredPath(paths: ResourcePaths, record: Tagged): string {
  return stagedPath(paths, `${ticketName(paths, record)}.old`)
}

/**
 * Returns the name of a ticket: the hash of the key and twelve characters, like the names of all
 * staged files, so that a sweep recognises it.
 */
function ticketName({ hash }: ResourcePaths, record: Tagged): string {
  return `${hash}.${record === null ? '_'.repeat(12) : record.tag.slice(0, 12)}`
}
