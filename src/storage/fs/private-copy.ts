/**
 * The private copy that an atomic write changes: a staged file that no record refers to before the
 * commit, so that neither a reader nor a crash can make it visible.
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

/** The file systems that can share blocks make a copy without moving bytes; elsewhere the kernel copies. */
const COPY_MODE = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE

/** A staged file with a time that is renewed until the copy is committed or closed. */
export class PrivateCopy implements DataFile {
  readonly name: string
  readonly file: FileHandle
  readonly #timer: NodeJS.Timeout

  private constructor(name: string, file: FileHandle) {
    this.name = name
    this.file = file
    this.#timer = setInterval(() => renewTime(file), RENEWAL_PERIOD).unref()
  }

  /** Copies the file at `source`, or creates an empty file if that is null. */
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
   * Gives the copy the owner and the permissions of the finished file that it replaces, except that it
   * stays writable for the rest of the upload. Returns the permissions that the upload has to get when
   * it is finished; null if there was no finished file.
   */
  async adoptMode(replaced: Found): Promise<number | null> {
    if (replaced.kind === 'absent') return null
    if (replaced.kind === 'incomplete') return replaced.record.mode
    const mode = await adoptMode(this.file, await lstat(replaced.path, { bigint: true }))
    await this.file.chmod(mode | 0o600)
    return mode
  }

  /** Keeps the time of the file as it is, because the time is a part of the identity of a version. */
  freezeTime(): void {
    clearInterval(this.#timer)
  }

  /** Closes the file, which stays where it is. */
  async close(): Promise<void> {
    this.freezeTime()
    await this.file.close()
  }
}
