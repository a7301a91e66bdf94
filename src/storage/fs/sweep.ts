/**
 * Reads the staging directory as a whole: to remove the leftovers of crashes (the sweep), and to list the
 * incomplete resources.
 *
 * The sweep runs without locks beside other processes. It removes a staged file only if no record refers to
 * it and its owner is dead, or if the file has no owner and is old.
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

/** Milliseconds: a younger record, or a younger file without a lease, may be in use by another process. */
const MIN_AGE_MS = 3_600_000

/** Directory entries that are read in one call. */
const NAMES_AT_A_TIME = 4096

const RECORD = /^(?<hash>[\w-]{43})\.json$/
const RETIRED = /^[\w-]{43}\.[\w-]{12}\.old$/
const LAYER = /\.patch$/
const STAGED = /^(?<hash>[\w-]{43})\.(?<owner>[\w-]{6})[\w-]{6}\.(?:data|patch|safe|tmp)$/

/**
 * Removes files that no record refers to. Returns `undecided` if another sweep, after the leases of owners in
 * other namespaces have run out or the writers of this process have ended, may remove more.
 */
export async function sweep(
  folders: Folders,
  leases: Leases,
  layersToRemove: LayersToRemove,
  watch: Watch,
): Promise<'done' | 'undecided'> {
  // Before the files are listed: a process that is dead now stages no file that the list could miss.
  const owners = await checkLeases(folders, watch)
  let outcome: 'done' | 'undecided' = owners.isUndecided ? 'undecided' : 'done'
  for await (const { name } of await opendir(folders.staging)) {
    const record = RECORD.exec(name)?.groups?.['hash']
    if (record !== undefined) await sweepRecord(folders, leases, record).catch(() => {})
    if (RETIRED.test(name)) await sweepRetired(stagedPath(folders, name)).catch(() => {})
    const { hash, owner } = STAGED.exec(name)?.groups ?? {}
    if (hash === undefined || owner === undefined) continue
    const isInUse = leases.has(hash)
    // A writer of this process may need the file until it ends.
    if (isInUse && owners.dead.delete(owner)) outcome = 'undecided'
    const staged = { folders, name, hash, owner, watch, isInUse }
    const sweeping = LAYER.test(name) ? sweepLayer(staged, layersToRemove) : sweepStaged(staged)
    const isSwept = await sweeping.catch(() => false)
    // The next sweep needs the lease to see that the owner of this file is dead.
    if (!isSwept) owners.dead.delete(owner)
  }
  for (const id of owners.dead) await removeLease(folders.staging, id).catch(() => {})
  return outcome
}

interface Owners {
  /** The ids of the leases of dead processes. */
  readonly dead: Set<string>
  /** Some owners in other namespaces may be dead. */
  readonly isUndecided: boolean
}

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

interface Staged {
  readonly folders: Folders
  readonly name: string
  /** The hash of the key. */
  readonly hash: string
  /** The id of the owner's lease. */
  readonly owner: string
  readonly watch: Watch
  /** A writer of this process may need the file. */
  readonly isInUse: boolean
}

/** Removes a staged file that no record refers to and no living process owns; false if it has to stay. */
async function sweepStaged(staged: Staged): Promise<boolean> {
  const { folders, name, hash, owner, watch, isInUse } = staged
  if (isInUse) return false
  const path = stagedPath(folders, name)
  const found = await ifThere(lstat(path))
  if (found === null) return true
  // The lease is read after the name of the file, because a process creates its lease before its first file.
  const verdict = await checkLease(folders.staging, owner, watch)
  const isOld = Date.now() - found.mtimeMs >= MIN_AGE_MS
  if (verdict === null ? !isOld : verdict !== 'dead') return false
  const record = await loadRecord({ record: stagedPath(folders, `${hash}.json`) })
  if (record?.data !== name.replace(/safe$/, 'data')) await unlink(path)
  return true
}

/**
 * Removes a layer that no record refers to and no living process owns; false if it has to stay. One that may
 * have been merged is kept for an hour (`layers/kept-layers.ts`), as long as its file has layers.
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
 * Lists the keys of incomplete resources. These have a data file in the staging directory, so that the cost
 * does not depend on the number of finished resources: none of their records is opened.
 */
export async function* listIncomplete(folders: Folders): AsyncGenerator<string, void, undefined> {
  for await (const record of recordsWith(folders, '.data')) {
    if (!record.state.complete) yield record.key
  }
}

/** Lists the keys of the resources that have layers, likewise. */
export async function* listLayered(folders: Folders): AsyncGenerator<string, void, undefined> {
  for await (const record of recordsWith(folders, '.patch')) {
    if (record.overlay !== null) yield record.key
  }
}

/** The records of the resources that have a staged file of this type. */
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

/** Returns whether a record belongs to its path: another program may have put any file there. */
function isRecordOf(folders: Folders, key: string, path: string): boolean {
  try {
    return pathsOf(folders, key).record === path
  } catch {
    return false
  }
}

/** Removes an old record that belongs to no file, with its layers. */
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
  // A process that publishes a file there at this moment creates the directories again.
  if (paths !== null) await removeParents(paths)
  // Synchronous, so that no writer of this process can replace the record between check and removal.
  if (!isUnchanged(path, found) || leases.has(hash)) return
  if (!removeUnchanged(folders, hash, found)) return
  for (const name of record?.overlay?.layers ?? []) await ifThere(unlink(stagedPath(folders, name)))
}

function isUnchanged(path: string, { ino, mtimeMs }: Stats): boolean {
  const now = statSync(path, { throwIfNoEntry: false })
  return now?.ino === ino && now.mtimeMs === mtimeMs
}

/**
 * Removes a record, unless another process has just replaced it; false if so. The record is first renamed,
 * because only then no other process can replace it between the check and the removal.
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

function putBack(aside: string, path: string): void {
  try {
    linkSync(aside, path)
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error // The path has an even newer record.
  }
}
