/**
 * Resources as files: `<directory>/<key>` is a finished resource, and nothing else is there but the
 * hidden folder `.partial-upload`. That holds a record for each resource (`fs-record.ts`), and the
 * data of what is not finished yet. Made for the file systems of Linux and macOS.
 */

import { mkdir, realpath, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { OpenWriterOptions, StorageAdapter, Writer } from './adapter.ts'
import { AtomicWriter } from './fs-atomic.ts'
import { removeResource, repair } from './fs-commit.ts'
import type { Fsync, Site } from './fs-commit.ts'
import type { Hold } from './fs-holds.ts'
import { Holds } from './fs-holds.ts'
import { ifThere, reportFull } from './fs-io.ts'
import { HIDDEN, keyConflict, place, removeRemains } from './fs-place.ts'
import type { Folders } from './fs-place.ts'
import { PersistWriter } from './fs-persist.ts'
import { openVersion } from './fs-reader.ts'
import { stampOf } from './fs-record.ts'
import { listIncomplete, sweep } from './fs-sweep.ts'
import { Uploads } from './fs-uploads.ts'
import { find } from './fs-version.ts'

export { fsLocker, type FsLockerOptions } from './fs-lock.ts'

/** Where and how safely files are stored. */
export interface FsStorageOptions {
  /**
   * The folder for the resources, made when it is missing. Several processes may write to it only
   * with `fsLocker`; others may read, take finished files away and put files there by a rename.
   */
  readonly directory: string
  /**
   * What a power cut or a crash of the system can't take (a crash of the process takes nothing):
   * `complete` each finished resource, and the atomicity of each atomic write; `segment` also each
   * acknowledged part of an upload in progress, for an fsync with every one; `never` nothing.
   *
   * @default 'complete'
   */
  readonly fsync?: Fsync
}

const FSYNC: readonly unknown[] = ['complete', 'segment', 'never'] satisfies readonly Fsync[]

/**
 * Stores resources as files.
 *
 * @throws TypeError when an option is wrong.
 */
export function fsStorage({ directory, fsync = 'complete' }: FsStorageOptions): StorageAdapter {
  if (typeof directory !== 'string' || directory === '' || directory.includes('\0')) {
    throw new TypeError(`directory must be a path, not ${JSON.stringify(directory)}`)
  }
  if (!FSYNC.includes(fsync)) {
    throw new TypeError(`fsync must be one of ${FSYNC.join(', ')}, not ${JSON.stringify(fsync)}`)
  }
  const holds = new Holds()
  const uploads = new Uploads()
  const folders = once(() => prepare(resolve(directory), holds))
  const site = async (key: string): Promise<Site> => ({
    place: place(await folders(), key),
    fsync,
    holds,
    uploads,
  })
  return {
    async head(key) {
      const found = await find(place(await folders(), key))
      return found.kind === 'absent' ? null : found.info
    },
    async openReader(key) {
      return openVersion(place(await folders(), key), holds)
    },
    async openWriter(key, options) {
      return openWriter(await site(key), options)
    },
    async remove(key) {
      return removeResource(await site(key))
    },
    async *listIncomplete() {
      yield* listIncomplete(await folders())
    },
  }
}

/** Runs `prepare` at the first call, and again after it has failed. */
function once<T>(prepare: () => Promise<T>): () => Promise<T> {
  let prepared: Promise<T> | null = null
  return async () => {
    prepared ??= prepare()
    try {
      return await prepared
    } catch (error) {
      prepared = null
      throw error
    }
  }
}

async function prepare(directory: string, holds: Holds): Promise<Folders> {
  await mkdir(directory, { recursive: true })
  const root = await realpath(directory)
  const folders = { root, hidden: join(root, HIDDEN) }
  await mkdir(folders.hidden, { recursive: true, mode: 0o700 })
  // Nobody waits for it, and what it can't remove does no harm.
  void sweep(folders, holds).catch(() => {})
  return folders
}

async function openWriter(site: Site, options: OpenWriterOptions): Promise<Writer> {
  // Held from before the first look on, so that no change by another writer is missed.
  const hold = site.holds.take(site.place.hash, Infinity, options.isLost)
  try {
    return reportingFull(await reportFull(chooseWriter(site, hold, options)))
  } catch (error) {
    site.holds.drop(hold)
    throw error
  }
}

async function chooseWriter(site: Site, hold: Hold, options: OpenWriterOptions): Promise<Writer> {
  const { transaction, replace, initial } = options
  const upload = await site.uploads.take(site.place)
  if (upload !== null && transaction === 'persist' && !replace) {
    return new PersistWriter(site, hold, upload.found, initial, upload)
  }
  await upload?.file.close()

  // Before the record is read: if it is replaced in between, the stamp fits no record later.
  const recordFile = await ifThere(stat(site.place.record))
  const stamp = recordFile === null ? null : stampOf(recordFile)
  const found = await repair(site, await find(site.place), hold)
  if (found.kind === 'absent' && found.isBlocked && !(await removeRemains(site.place))) {
    throw keyConflict()
  }
  const mayPersist = found.kind === 'absent' || (found.kind === 'incomplete' && !replace)
  if (transaction === 'persist' && mayPersist) {
    return new PersistWriter(site, hold, found, initial, { stamp, file: null })
  }
  return new AtomicWriter(site, hold, found, replace ? 'empty' : 'base')
}

function reportingFull(writer: Writer): Writer {
  return {
    base: writer.base,
    transaction: writer.transaction,
    write: (position, chunks) => reportFull(writer.write(position, chunks)),
    truncate: (size) => reportFull(writer.truncate(size)),
    read: (start, end) => writer.read(start, end),
    commit: (state) => reportFull(writer.commit(state)),
    keep: () => reportFull(writer.keep()),
    rollback: () => reportFull(writer.rollback()),
  }
}
