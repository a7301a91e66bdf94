/**
 * Fencing: a process that was halted in the middle of a change, and whose lock was taken over while it
 * stood still, must change nothing when it wakes up. A check of the lock is not enough, because the
 * process may be halted between the check and the change. Each change of a name that all versions of
 * a resource share, which are the names of the record and of the published file, is therefore a rename
 * from or into a ticket: a file or a directory that the successor removes first.
 *
 *     process A                   process B, its successor
 *     creates its ticket
 *     checks its lock: valid
 *     is halted
 *                                 takes over the lock
 *                                 removes the ticket
 *     renames: ENOENT
 *
 * If A creates its ticket only after B has removed tickets, A's check comes after the takeover and
 * fails. Both derive the ticket's name from the tag of the record, which A and B have read.
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

/** Throws if this process may not change the resource any more. */
export type AssertValid = () => void

/** The name that a retired record has; a retired file is named by its identity. */
const RECORD = 'record'

/** Attempts to retire a file while a sweep removes the ticket. */
const MAX_TRIES = 100

/** Checks, without waiting, whether a process has begun to replace the version of `record`. */
export function hasTicket(paths: ResourcePaths, record: Tagged): boolean {
  return existsSync(newRecordPath(paths, record)) || existsSync(retiredPath(paths, record))
}

/**
 * Keeps every earlier process from replacing the version of `record`. The caller holds the lock, and
 * reads the record again afterwards: an earlier process may have replaced it just before.
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
 * Writes `record` beside its place and renames it onto the place of `old`, so that no reader and no
 * crash ever meets half of a record. If this fails, nothing has changed. The rename is not durable
 * before the directory is fsynced.
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
    // The successor has removed the file, and may have one of its own there.
    assertValid()
    await unlink(path).catch(() => {}) // The sweep takes it; the first error says more.
    throw error
  }
}

/** Only a process that has lost the lock or its life can have left a file there. */
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
 * Removes the published file with this identity, unless this process has lost its lock. A file of
 * another identity belongs to another program and stays. Returns whether the file was there.
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
      // A full disk has no room for the directory, and below a mount is another file system. There the
      // check has to do.
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

/** Completes a removal, no matter which process has begun it. */
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
      // The process that was halted has renamed in the last moment.
      if (!isNotEmpty(error) || tries === MAX_TRIES) throw error
    }
  }
}

function isNotEmpty(error: unknown): boolean {
  return errorCode(error) === 'ENOTEMPTY'
}

/**
 * Removes a ticket directory that a crash has left. A process that is about to use it makes it again. A
 * file of another program stays in it, for the next writer to put back.
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
  // Another program has put its file at the path between the check of the identity and the rename.
  if (name !== RECORD && fileFingerprint(found) !== name) await putBack(paths, path)
  await ifThere(unlink(path))
}

async function putBack(paths: ResourcePaths, path: string): Promise<void> {
  await makeParents(paths)
  try {
    await link(path, paths.published)
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error // An even newer file is there.
  }
}

/** Where the successor of `record` is prepared. */
function newRecordPath(paths: ResourcePaths, record: Tagged): string {
  return stagedPath(paths, `${ticketName(paths, record)}.tmp`)
}

/** The directory into which what belongs to the version of `record` is moved before it is removed. */
function retiredPath(paths: ResourcePaths, record: Tagged): string {
  return stagedPath(paths, `${ticketName(paths, record)}.old`)
}

/** The hash of the key and twelve characters, like the name of every staged file. */
function ticketName({ hash }: ResourcePaths, record: Tagged): string {
  return `${hash}.${record === null ? '_'.repeat(12) : record.tag.slice(0, 12)}`
}
