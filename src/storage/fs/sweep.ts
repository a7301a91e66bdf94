/** Goes through the hidden folder: for what crashes have left, and for what is not finished. */

import { randomBytes } from 'node:crypto'
import { linkSync, renameSync, statSync, unlinkSync } from 'node:fs'
import type { Stats } from 'node:fs'
import { lstat, opendir } from 'node:fs/promises'
import { discard } from './commit.ts'
import type { Holds } from './leases.ts'
import { errorCode, ifThere } from './io.ts'
import { hiddenPath, place, removeParents } from './paths.ts'
import type { Folders } from './paths.ts'
import { parseRecord, readRecord } from './record.ts'
import { find } from './version.ts'

/** Younger files may be in use by another process, for example before their record is written. */
const MIN_AGE_MS = 3_600_000

const OURS = /^(?<hash>[\w-]{43})\.(?:json|[\w-]{12}\.(?:data|safe|tmp))$/

/** Removes the files that nothing refers to any more. */
export async function sweep(folders: Folders, holds: Holds): Promise<void> {
  for await (const { name } of await opendir(folders.hidden)) {
    const hash = OURS.exec(name)?.groups?.['hash']
    if (hash === undefined || holds.has(hash)) continue
    await sweepFile(folders, holds, name, hash).catch(() => {}) // It stays for the next time.
  }
}

async function sweepFile(
  folders: Folders,
  holds: Holds,
  name: string,
  hash: string,
): Promise<void> {
  const path = hiddenPath(folders, name)
  const found = await ifThere(lstat(path))
  if (found === null || Date.now() - found.mtimeMs < MIN_AGE_MS) return
  const needed = name.replace(/safe$/, 'data')
  if (name.endsWith('.json')) await sweepRecord(folders, holds, hash, found)
  else if ((await dataOf(folders, hash)) !== needed) await discard(path)
}

/** Lists the keys whose records tell of incomplete resources. */
export async function* listIncomplete(folders: Folders): AsyncGenerator<string, void, undefined> {
  for await (const { name } of await opendir(folders.hidden)) {
    if (!OURS.test(name) || !name.endsWith('.json')) continue
    const path = hiddenPath(folders, name)
    const text = await readRecord({ record: path })
    const record = text === null ? null : parseRecord(text)
    if (record === null || record.state.complete) continue
    if (isRecordOf(folders, record.key, path)) yield record.key
  }
}

/** A file that somebody has put there may have any name, and tell of any key. */
function isRecordOf(folders: Folders, key: string, path: string): boolean {
  try {
    return place(folders, key).record === path
  } catch {
    return false
  }
}

async function sweepRecord(
  folders: Folders,
  holds: Holds,
  hash: string,
  found: Stats,
): Promise<void> {
  const path = hiddenPath(folders, `${hash}.json`)
  const text = await readRecord({ record: path })
  const record = text === null ? null : parseRecord(text)
  const isNamed = record !== null && isRecordOf(folders, record.key, path)
  const here = isNamed ? place(folders, record.key) : null
  const current = here === null ? null : await find(here)
  if (current !== null && current.kind !== 'absent' && current.record !== null) return
  // Whoever publishes there now makes them again.
  if (here !== null) await removeParents(here)
  // At once, so that no writer of this process can put a new record there in between.
  if (isUnchanged(path, found) && !holds.has(hash)) removeUnchanged(path, found)
}

function isUnchanged(path: string, { ino, mtimeMs }: Stats): boolean {
  const now = statSync(path, { throwIfNoEntry: false })
  return now?.ino === ino && now.mtimeMs === mtimeMs
}

/** Removes a record, but not one that another process has put there in the last moment. */
function removeUnchanged(path: string, found: Stats): void {
  const aside = path.replace(/json$/, `${randomBytes(9).toString('base64url')}.tmp`)
  renameSync(path, aside)
  if (!isUnchanged(aside, found)) putBack(aside, path)
  unlinkSync(aside)
}

function putBack(aside: string, path: string): void {
  try {
    linkSync(aside, path)
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error // There is an even newer one.
  }
}

/** Name of the data file that the record with this hash refers to. */
async function dataOf(folders: Folders, hash: string): Promise<string | null> {
  const text = await readRecord({ record: hiddenPath(folders, `${hash}.json`) })
  return text === null ? null : (parseRecord(text)?.data ?? null)
}
