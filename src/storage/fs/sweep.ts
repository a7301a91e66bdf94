/**
 * Reads the staging directory as a whole: to remove what crashes have left (the sweep), and to list
 * the incomplete resources.
 *
 * The sweep takes no locks and runs while other processes write. It removes a staged file only if
 * no record refers to it and the process that has created it is dead; a file whose creator has no
 * lease, only when it is old.
 */

import { linkSync, renameSync, statSync, unlinkSync } from 'node:fs'
import type { Stats } from 'node:fs'
import { lstat, opendir, unlink } from 'node:fs/promises'
import { sweepRetired } from './fence.ts'
import type { Leases } from './leases.ts'
import { errorCode, ifThere } from './io.ts'
import type { Watch } from './lock/liveness.ts'
import { checkLease, leaseIdOf, removeLease } from './owner-lease.ts'
import { stagedPath, newStagedName, pathsOf } from './paths.ts'
import { removeParents } from './parents.ts'
import type { Folders } from './paths.ts'
import { loadRecord } from './record.ts'
import type { FsRecord } from './record.ts'
import type { LayersToRemove } from './resource.ts'
import { find } from './version.ts'

/**
 * Age in milliseconds below which another process may still use a record, or a staged file without
 * a lease: one hour.
 */
const MIN_AGE_MS = 3_600_000

/** Directory entries that are read by one call, because each call occupies a thread of the pool. */
const NAMES_AT_A_TIME = 4096

const RECORD = /^(?<hash>[\w-]{43})\.json$/
const RETIRED = /^[\w-]{43}\.[\w-]{12}\.old$/
const LAYER = /\.patch$/
const STAGED = /^(?<hash>[\w-]{43})\.(?<owner>[\w-]{6})[\w-]{6}\.(?:data|patch|safe|tmp)$/

/**
 * Removes files to which no record refers. Returns `undecided` if a later sweep may remove more:
 * when the leases of processes in other containers have expired, or the writers of this process
 * have ended.
 */
export async function sweep(
  folders: Folders,
  leases: Leases,
  layersToRemove: LayersToRemove,
  watch: Watch,
): Promise<'done' | 'undecided'> {
  // The leases are checked before the files are listed. A process that is dead by now does not
  // create a file that the list could miss, so that its lease can be removed after its files.
  const owners = await checkLeases(folders, watch)
  let outcome: 'done' | 'undecided' = owners.isUndecided ? 'undecided' : 'done'
  for await (const { name } of await opendir(folders.staging)) {
    const record = RECORD.exec(name)?.groups?.['hash']
    if (record !== undefined) await sweepRecord(folders, leases, record).catch(() => {})
    if (RETIRED.test(name)) await sweepRetired(stagedPath(folders, name)).catch(() => {})
    const { hash, owner } = STAGED.exec(name)?.groups ?? {}
    if (hash === undefined || owner === undefined) continue
    const isInUse = leases.has(hash)
    // A writer of this process may need the file until it ends. The lease of the owner stays, so
    // that a later sweep can remove the file.
    if (isInUse && owners.dead.delete(owner)) outcome = 'undecided'
    const staged = { folders, name, hash, owner, watch, isInUse }
    const sweeping = LAYER.test(name) ? sweepLayer(staged, layersToRemove) : sweepStaged(staged)
    const isSwept = await sweeping.catch(() => false)
    // The file has to stay for now. The next sweep needs the lease to see that its owner is dead.
    if (!isSwept) owners.dead.delete(owner)
  }
  for (const id of owners.dead) await removeLease(folders.staging, id).catch(() => {})
  return outcome
}

/** The result of a check of all leases. */
interface Owners {
  /** Ids of the leases whose processes are dead. */
  readonly dead: Set<string>
  /**
   * Whether some process in another container has been silent, but not for long enough to count as
   * dead.
   */
  readonly isUndecided: boolean
}

/**
 * Checks all leases in a staging directory. A lease that can't be checked counts as that of a
 * living process.
 */
async function checkLeases(folders: Folders, watch: Watch): Promise<Owners> {
  const dead = new Set<string>()
  let isUndecided = false
  for await (const { name } of await opendir(folders.staging)) {
    const id = leaseIdOf(name)
    const verdict =
      id === null ? null : await checkLease(folders.staging, id, watch).catch(() => null)
    if (id !== null && verdict === 'dead') dead.add(id)
    if (verdict === 'undecided') isUndecided = true
  }
  return { dead, isUndecided }
}

/** A staged file, and what its name says. */
interface Staged {
  readonly folders: Folders
  readonly name: string
  /** The hash of the key of its resource. */
  readonly hash: string
  /** The id of the lease of the process that has created it. */
  readonly owner: string
  readonly watch: Watch
  /** Whether a writer of this process may need the file. */
  readonly isInUse: boolean
}

/**
 * Removes a staged file to which no record refers and whose process is dead. Returns false if the
 * file has to stay.
 */
async function sweepStaged(staged: Staged): Promise<boolean> {
  const { folders, name, hash, owner, watch, isInUse } = staged
  if (isInUse) return false
  const path = stagedPath(folders, name)
  const found = await ifThere(lstat(path))
  if (found === null) return true
  // The lease is checked after the name of the file was read. In the other order a process could
  // create its lease and the file in between, and the sweep would treat the new file as one without
  // a lease.
  const verdict = await checkLease(folders.staging, owner, watch)
  const isOld = Date.now() - found.mtimeMs >= MIN_AGE_MS
  if (verdict === null ? !isOld : verdict !== 'dead') return false
  const record = await loadRecord({ record: stagedPath(folders, `${hash}.json`) })
  if (record?.data !== name.replace(/safe$/, 'data')) await unlink(path)
  return true
}

/**
 * Removes a layer to which no record refers and whose process is dead. Returns false if the layer
 * has to stay. A layer that may have been merged into another one is kept for an hour, as long as
 * the resource has layers (`layers/kept-layers.ts`).
 */
async function sweepLayer(staged: Staged, layersToRemove: LayersToRemove): Promise<boolean> {
  const { folders, name, hash, owner, watch, isInUse } = staged
  const path = stagedPath(folders, name)
  const found = await ifThere(lstat(path))
  if (found === null) return true
  const verdict = await checkLease(folders.staging, owner, watch)
  if (owner === folders.ownerLease.id || (verdict !== null && verdict !== 'dead')) return false
  const record = await loadRecord({ record: stagedPath(folders, `${hash}.json`) })
  const overlay = record?.overlay ?? null
  if (overlay?.layers.includes(name) === true) return true
  const age = Date.now() - found.mtimeMs
  const isUseless = age >= MIN_AGE_MS || (verdict === 'dead' && overlay === null)
  if (isUseless && !isInUse) await unlink(path)
  else layersToRemove.adopt(folders, hash, name, isUseless ? 0 : age)
  return true
}

/**
 * Lists the keys of incomplete resources. Only the records of resources with a data file in the
 * staging directory are opened, so that the cost does not grow with the number of finished
 * resources.
 */
export async function* listIncomplete(folders: Folders): AsyncGenerator<string, void, undefined> {
  for await (const record of recordsWith(folders, '.data')) {
    if (!record.state.complete) yield record.key
  }
}

/** Lists the keys of the resources with layers, in the same way. */
export async function* listLayered(folders: Folders): AsyncGenerator<string, void, undefined> {
  for await (const record of recordsWith(folders, '.patch')) {
    if (record.overlay !== null) yield record.key
  }
}

/** Yields the records of the resources that have a staged file of this type. */
async function* recordsWith(
  folders: Folders,
  type: '.data' | '.patch',
): AsyncGenerator<FsRecord, void, undefined> {
  const hashes = new Set<string>()
  for await (const { name } of await opendir(folders.staging, { bufferSize: NAMES_AT_A_TIME })) {
    const hash = name.endsWith(type) ? STAGED.exec(name)?.groups?.['hash'] : undefined
    if (hash !== undefined) hashes.add(hash)
  }
  for (const hash of hashes) {
    const path = stagedPath(folders, `${hash}.json`)
    const record = await loadRecord({ record: path })
    if (record !== null && isRecordOf(folders, record.key, path)) yield record
  }
}

/**
 * Returns whether a record is at the path that belongs to its key. A file that another program has
 * copied there must not name the resource of another key.
 */
function isRecordOf(folders: Folders, key: string, path: string): boolean {
  try {
    return pathsOf(folders, key).record === path
  } catch {
    return false
  }
}

/**
 * Removes an old record to which no file belongs, and its layers. Such a record stays when a crash
 * interrupts a removal, or when another program has removed or replaced the file.
 */
export async function sweepRecord(folders: Folders, leases: Leases, hash: string): Promise<void> {
  if (leases.has(hash)) return
  const path = stagedPath(folders, `${hash}.json`)
  const found = await ifThere(lstat(path))
  if (found === null || Date.now() - found.mtimeMs < MIN_AGE_MS) return
  const record = await loadRecord({ record: path })
  const isNamed = record !== null && isRecordOf(folders, record.key, path)
  const paths = isNamed ? pathsOf(folders, record.key) : null
  const current = paths === null ? null : await find(paths)
  if (current !== null && current.kind !== 'absent' && current.record !== null) return
  // A process that is about to publish a file in these directories creates them again.
  if (paths !== null) await removeParents(paths)
  // The check and the removal are synchronous calls, so that no writer of this process can replace
  // the record in between.
  if (!isUnchanged(path, found) || leases.has(hash)) return
  if (!removeUnchanged(folders, hash, found)) return
  for (const name of record?.overlay?.layers ?? []) await ifThere(unlink(stagedPath(folders, name)))
}

/** Returns whether the file at `path` still is the one with these metadata. */
function isUnchanged(path: string, { ino, mtimeMs }: Stats): boolean {
  const now = statSync(path, { throwIfNoEntry: false })
  return now?.ino === ino && now.mtimeMs === mtimeMs
}

/**
 * Removes a record, unless another process has just replaced it; returns false in that case. The
 * record is first renamed to a name that no other process uses, and checked there: at its own path
 * another process could replace it between the check and the unlink.
 */
function removeUnchanged(folders: Folders, hash: string, found: Stats): boolean {
  const path = stagedPath(folders, `${hash}.json`)
  const aside = stagedPath(folders, newStagedName(hash, folders.ownerLease, 'tmp'))
  renameSync(path, aside)
  const isRemoved = isUnchanged(aside, found)
  if (!isRemoved) putBack(aside, path)
  unlinkSync(aside)
  return isRemoved
}

/** Gives a record its path again, unless another process has written a newer one there. */
function putBack(aside: string, path: string): void {
  try {
    linkSync(aside, path)
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error // The path has a newer record, which stays.
  }
}
