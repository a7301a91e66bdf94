/**
 * Fencing: a process that was halted in the middle of a change, and whose lock was taken over in the
 * meantime, must change nothing when it resumes. A check of the lock is not enough, because the process may
 * be halted between the check and the change. All versions of a resource share two names: those of the
 * record and of the published file. Each change of one of them is therefore a rename from or into a ticket,
 * which is a file or a directory that the successor removes first.
 *
 *     process A                   process B, its successor
 *     creates its ticket
 *     checks its lock: valid
 *     is halted
 *                                 takes over the lock
 *                                 removes the ticket
 *     renames: ENOENT
 *
 * If A creates its ticket only after B has removed tickets, A's check comes after the takeover and fails.
 * Both processes derive the name of the ticket from the tag of the record, which both have read.
 *
 * What a process writes into an open data file is fenced in another way: see `lock/takeover.ts`.
 */

import { existsSync } from 'node:fs'
import { link, lstat, mkdir, open, readdir, rename, rmdir, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { IS_WINDOWS, errorCode, ifThere, isFull, sync } from './io.ts'
import { stagedPath } from './paths.ts'
import { makeParents } from './parents.ts'
import type { ResourcePaths } from './paths.ts'
import { formatRecord, fileFingerprint } from './record.ts'
import type { Durability, FsRecord } from './record.ts'
import { replaceFile } from './windows.ts'

/** The part of a record that names its ticket; null if the resource has no record. */
type Tagged = Pick<FsRecord, 'tag'> | null

/** Throws if this process may no longer change the resource. */
export type AssertValid = () => void

/** Name of a retired record in its ticket directory; a retired file is named by its fingerprint. */
const RECORD = 'record'

/** Attempts to retire a file while a sweep removes the ticket directory again. */
const MAX_TRIES = 100

/** Checks, without waiting, whether a process has begun to replace the version of `record`. */
export function hasTicket(paths: ResourcePaths, record: Tagged): boolean {
  return existsSync(newRecordPath(paths, record)) || existsSync(retiredPath(paths, record))
}

/**
 * Keeps every earlier owner of the lock from replacing the version of `record`. The caller holds the lock,
 * and reads the record again afterwards, because an earlier owner may have replaced it just before.
 */
export async function fence(paths: ResourcePaths, record: Tagged): Promise<void> {
  await ifThere(unlink(newRecordPath(paths, record)))
  await clearRetired(paths, retiredPath(paths, record))
}

/** Replaces the record by `record`, and makes that durable where `durability` says so. */
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
 * Writes `record` to a temporary file and renames that over the record of `old`, so that neither a reader
 * nor a crash finds half of a record. If this fails, nothing has changed. The rename is not durable before
 * the directory is fsynced.
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
    // After a takeover the successor may have a file of its own under this name.
    assertValid()
    await unlink(path).catch(() => {}) // A sweep removes it; the first error says more.
    throw error
  }
}

/** Creates the file. An existing one was left by a process that died or has lost the lock. */
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
 * Removes the published file with this fingerprint, unless this process has lost its lock. A file with
 * another fingerprint belongs to another program and stays. Returns whether the file was removed.
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
      // A full disk has no room for the directory, and a rename can't enter the file system of a mount. In
      // these two cases the check of the lock is the only protection.
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

/** Completes a removal, whichever process has begun it. */
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
      // Windows keeps a removed file in its directory until its last reader has closed it.
      if (IS_WINDOWS && isNotEmpty(error)) return
      // A process that was halted has just renamed something into the directory.
      if (!isNotEmpty(error) || tries === MAX_TRIES) throw error
    }
  }
}

function isNotEmpty(error: unknown): boolean {
  return errorCode(error) === 'ENOTEMPTY'
}

/**
 * Removes a ticket directory that a crash has left. A process that is about to use it creates it again. A
 * file of another program stays in the directory until the next writer of the resource puts it back.
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
  // Another program has put its file at the path between the check of the fingerprint and the rename.
  if (name !== RECORD && fileFingerprint(found) !== name) await putBack(paths, path)
  await ifThere(unlink(path))
}

async function putBack(paths: ResourcePaths, path: string): Promise<void> {
  await makeParents(paths)
  try {
    await link(path, paths.published)
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error // The path has an even newer file.
  }
}

/** The temporary file of the record that replaces `record`: a ticket. */
function newRecordPath(paths: ResourcePaths, record: Tagged): string {
  return stagedPath(paths, `${ticketName(paths, record)}.tmp`)
}

/** The ticket directory into which files of the version of `record` are moved before they are removed. */
function retiredPath(paths: ResourcePaths, record: Tagged): string {
  return stagedPath(paths, `${ticketName(paths, record)}.old`)
}

/** The hash of the key and twelve characters, as in the names of all staged files. */
function ticketName({ hash }: ResourcePaths, record: Tagged): string {
  return `${hash}.${record === null ? '_'.repeat(12) : record.tag.slice(0, 12)}`
}
