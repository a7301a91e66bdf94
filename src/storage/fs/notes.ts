/**
 * Notes about changes that the app was not notified of yet. A note is a file `<hash>.note` in the
 * staging directory and not a part of the record, because the record of a removed resource is
 * removed too. Earlier versions of this package ignore these files.
 */

import { open, opendir, unlink } from 'node:fs/promises'
import type { ChangeNotes } from '../adapter.ts'
import { ifThere, readWhole, reportFull, sync } from './io.ts'
import { hashOf, inStaging, newTempName, stagedPath } from './paths.ts'
import type { Folders, ResourcePaths } from './paths.ts'
import type { Fsync } from './resource.ts'
import type { StoreDirectory } from './store.ts'
import { replaceFile } from './windows.ts'

const NAME = /^[\w-]{43}\.note$/

/** Bytes that the first read of a note asks for. Nearly all notes are shorter. */
const NOTE_SIZE = 2048

/**
 * The content of a file: the note, and the key, which can't be derived from the name of the file.
 */
interface NoteFile {
  readonly key: string
  readonly note: string
}

/** Returns the notes of a store. */
export function changeNotes(root: StoreDirectory, fsync: Fsync): ChangeNotes {
  return {
    async read(key) {
      return (await readNote(notePath(await root.pathsOf(key))))?.note ?? null
    },
    async write(key, note) {
      const paths = await root.pathsOf(key)
      await root.makeStaging(paths)
      const text = JSON.stringify({ key, note } satisfies NoteFile)
      await reportFull(writeNote(paths, text, fsync !== 'never'))
    },
    async remove(key) {
      await ifThere(unlink(notePath(await root.pathsOf(key))))
    },
    async *list() {
      // The app asks for notes at its start. A store that is not used must not create its
      // directory.
      if (!root.exists) return
      for (const folders of await root.allFolders()) yield* listNotes(folders)
    },
  }
}

function notePath(paths: ResourcePaths): string {
  return stagedPath(paths, `${paths.hash}.note`)
}

/**
 * Writes a temporary file and renames it, so that a crash leaves the earlier note or the new one,
 * and no part of one.
 */
async function writeNote(paths: ResourcePaths, text: string, isDurable: boolean): Promise<void> {
  const temporary = stagedPath(paths, newTempName(paths))
  try {
    const file = await inStaging(paths, () => open(temporary, 'wx'))
    try {
      await file.writeFile(text)
      if (isDurable) await file.sync()
    } finally {
      await file.close()
    }
    await replaceFile(temporary, notePath(paths))
  } catch (error) {
    // A sweep removes the file later. The first error names the cause.
    await unlink(temporary).catch(() => {})
    throw error
  }
  if (isDurable) await sync(paths.staging)
}

async function* listNotes(folders: Folders): AsyncGenerator<string, void, undefined> {
  const names: string[] = []
  for await (const { name } of await opendir(folders.staging)) if (NAME.test(name)) names.push(name)
  for (const name of names) {
    const file = await readNote(stagedPath(folders, name))
    // Another program may have put any file there, which must not name a key of this store.
    if (file !== null && name === `${hashOf(file.key)}.note`) yield file.key
  }
}

async function readNote(path: string): Promise<NoteFile | null> {
  const text = await readWhole(path, NOTE_SIZE)
  return text === null ? null : parseNote(text.toString())
}

/**
 * Parses a file. Returns null for any other text, because a power cut may leave an empty or a
 * damaged file.
 */
function parseNote(text: string): NoteFile | null {
  try {
    const value: unknown = JSON.parse(text)
    if (!(value instanceof Object) || !('key' in value) || !('note' in value)) return null
    const { key, note } = value
    return typeof key === 'string' && typeof note === 'string' ? { key, note } : null
  } catch {
    return null
  }
}
