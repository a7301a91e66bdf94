/**
 * Resources as files: `<directory>/<key>` is a finished resource, and nothing else is there but the
 * hidden folder `.partial-upload`. That holds a record for each resource (`fs-record.ts`), and the
 * data of what is not finished yet. Made for the file systems of Linux and macOS.
 */

import { resolve } from 'node:path'
import type { OpenWriterOptions, StorageAdapter, Writer } from './adapter.ts'
import { AtomicWriter } from './fs/atomic-writer.ts'
import { reportFull } from './fs/io.ts'
import { endTakeover, isTakenOver } from './fs/lock/takeover.ts'
import { escapeEarlierOwner } from './fs/new-file.ts'
import { isRemains } from './fs/parents.ts'
import { keyConflict } from './fs/paths.ts'
import { PersistWriter } from './fs/persist-writer.ts'
import { openVersion } from './fs/reader.ts'
import { removeResource } from './fs/remove.ts'
import { findFenced, repair } from './fs/recover.ts'
import { rootOf } from './fs/store.ts'
import type { Fsync, Site } from './fs/resource.ts'
import { listIncomplete } from './fs/sweep.ts'
import { find } from './fs/version.ts'
import { Turn } from './fs/writer-lease.ts'

export { fsLocker, type FsLockerOptions } from './fs/lock/locker.ts'

/** Where and how safely files are stored. */
export interface FsStorageOptions {
  /**
   * The folder for the resources, made when it is missing. Several processes may write to it only
   * with `fsLocker`; others may read, take finished files away and put files there by a rename.
   */
  readonly directory: string
  /**
   * What a power cut or a crash of the system can't take (a crash of the process takes nothing).
   * `complete`: each finished resource, the atomicity of each atomic write, and of an upload in progress
   * all but the last seconds. `segment`: also each acknowledged part of an upload, for two fsyncs with
   * every one. `never`: nothing.
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
  const root = rootOf(resolve(directory))
  const { holds, uploads, flusher } = root
  const site = async (key: string): Promise<Site> => {
    const here = await root.pathsOf(key)
    const assertThere = () => root.assertThere(here)
    return { paths: here, fsync, holds, uploads, flusher, assertThere }
  }
  return {
    lockScope: root,
    async head(key) {
      const { paths: here, assertThere } = await site(key)
      const found = await find(here)
      if (found.kind !== 'absent') return found.info
      await assertThere()
      return null
    },
    async openReader(key) {
      const { paths: here, assertThere } = await site(key)
      const reader = await openVersion(here, holds)
      if (reader === null) await assertThere()
      return reader
    },
    async openWriter(key, options) {
      const here = await site(key)
      await root.makeStaging(here.paths)
      return openWriter(here, options)
    },
    async remove(key, { isLost } = {}) {
      const here = await site(key)
      await root.makeStaging(here.paths)
      const turn = new Turn(here, holds.take(here.paths.hash, Infinity, isLost))
      try {
        const isRemoved = await reportFull(removeResource(here, turn))
        const { root: path, hash } = here.paths
        if (isTakenOver(path, hash)) await endTakeover(path, hash)
        if (!isRemoved) await here.assertThere()
        return isRemoved
      } finally {
        turn.end()
      }
    },
    flush: () => flusher.flushAll(),
    async *listIncomplete() {
      for (const folders of await root.allFolders()) yield* listIncomplete(folders)
    },
  }
}

async function openWriter(site: Site, options: OpenWriterOptions): Promise<Writer> {
  // Held from before the first look on, so that no change by another writer is missed.
  const turn = new Turn(site, site.holds.take(site.paths.hash, Infinity, options.isLost))
  try {
    return guarded(await reportFull(chooseWriter(site, turn, options)), site)
  } catch (error) {
    turn.end()
    site.paths.lease.update()
    throw error
  }
}

async function chooseWriter(site: Site, turn: Turn, options: OpenWriterOptions): Promise<Writer> {
  const { transaction, replace, initial } = options
  if (isTakenOver(site.paths.root, site.paths.hash)) await site.uploads.drop(site.paths.hash)
  const upload = await site.uploads.take(site.paths)
  const isSound = upload !== null && !site.flusher.isSpoiled(upload.record.data)
  if (isSound && transaction === 'persist' && !replace) {
    return new PersistWriter(site, turn, upload.found, initial, upload.file)
  }
  await upload?.file.close()

  const repaired = await repair(site, await findFenced(site.paths), turn)
  const found = await escapeEarlierOwner(site, repaired, turn)
  if (found.kind === 'absent') await site.assertThere()
  // Directories without a file are removed only when the resource is published.
  if (found.kind === 'absent' && found.isBlocked && !(await isRemains(site.paths))) {
    throw keyConflict()
  }
  const mayPersist = found.kind === 'absent' || (found.kind === 'incomplete' && !replace)
  if (transaction === 'persist' && mayPersist) {
    return new PersistWriter(site, turn, found, initial, null)
  }
  return new AtomicWriter(site, turn, found, replace ? 'empty' : 'base')
}

/** The writer as the protocol gets it: it reports a full disk, and its end may end the lease. */
function guarded(writer: Writer, { paths: { lease } }: Site): Writer {
  const ending = <T>(work: Promise<T>): Promise<T> => reportFull(work).finally(() => lease.update())
  return {
    base: writer.base,
    transaction: writer.transaction,
    write: (position, chunks) => reportFull(writer.write(position, chunks)),
    truncate: (size) => reportFull(writer.truncate(size)),
    read: (start, end) => writer.read(start, end),
    commit: (state) => ending(writer.commit(state)),
    keep: () => ending(writer.keep()),
    rollback: () => ending(writer.rollback()),
  }
}
