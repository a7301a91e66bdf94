/**
 * The private copy that an atomic write changes: a staged file to which no record refers before the
 * commit, so that no reader sees it, and a crash before the commit leaves the old version.
 */

import { constants, copyFile, lstat, open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { discard } from './commit.ts'
import { RENEWAL_PERIOD, renewTime } from './file-times.ts'
import { READ_WRITE, adoptMode, makeWritable } from './io.ts'
import { stagedPath, inStaging, newDataName } from './paths.ts'
import type { ResourcePaths } from './paths.ts'
import type { DataFile } from './resource.ts'
import type { Found } from './version.ts'

/**
 * Copies by reference where the file system shares blocks (Btrfs, XFS), which moves no bytes.
 * Elsewhere the kernel copies the bytes. Fails if the file exists.
 */
const COPY_MODE = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE

/**
 * A staged file whose time is renewed until the copy is committed or closed, so that no sweep of
 * another process treats it as a leftover.
 */
export class PrivateCopy implements DataFile {
  readonly name: string
  readonly file: FileHandle
  readonly #timer: NodeJS.Timeout

  private constructor(name: string, file: FileHandle) {
    this.name = name
    this.file = file
    this.#timer = setInterval(() => renewTime(file), RENEWAL_PERIOD).unref()
  }

  /** Creates the copy of the file at `source`, or an empty file if `source` is null. */
  static async create(paths: ResourcePaths, source: string | null): Promise<PrivateCopy> {
    const name = newDataName(paths)
    const path = stagedPath(paths, name)
    try {
      const file = await inStaging(paths, async () => {
        if (source === null) return open(path, 'wx+')
        await copyFile(source, path, COPY_MODE)
        await makeWritable(path)
        return open(path, READ_WRITE)
      })
      return new PrivateCopy(name, file)
    } catch (error) {
      await discard(path)
      throw error
    }
  }

  /**
   * Gives the copy the owner, the group and the permissions of the finished file that it replaces,
   * except that the copy stays writable for the rest of the upload. Returns the permissions that
   * the file has to get when the upload is finished; null if there was no finished file.
   */
  async adoptMode(replaced: Found): Promise<number | null> {
    if (replaced.kind === 'absent') return null
    if (replaced.kind === 'incomplete') return replaced.record.mode
    const mode = await adoptMode(this.file, await lstat(replaced.path, { bigint: true }))
    await this.file.chmod(mode | 0o600)
    return mode
  }

  /**
   * Stops the renewals. From now on the time of the file must not change, because it is a part of
   * the fingerprint by which the record recognises the file.
   */
  freezeTime(): void {
    clearInterval(this.#timer)
  }

  /** Closes the file, which keeps its name in the staging directory. */
  async close(): Promise<void> {
    this.freezeTime()
    await this.file.close()
  }
}
