/**
 * Notes about changes that an app was not notified of yet: a file `<hash>.note` beside the record of the
 * resource, because it has to outlive the record of a removed resource. Earlier versions of the package ignore
 * these files.
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

/** Bytes that one read asks for, because nearly all notes are shorter. */
const NOTE_SIZE = 2048

/** What a file has: the key, because the name is only its hash, and the note. */
interface NoteFile {
  readonly key: string
  readonly note: string
}

/** The notes of a store. */
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
      // A store that is not used must not create its directory.
      if (!root.exists) return
      for (const folders of await root.allFolders()) yield* listNotes(folders)
    },
  }
}

function notePath(paths: ResourcePaths): string {
  return stagedPath(paths, `${paths.hash}.note`)
}

/** Writes a temporary file and renames it, so that a crash leaves the earlier note or the new one. */
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
    await unlink(temporary).catch(() => {}) // A sweep removes it; the first error says more.
    throw error
  }
  if (isDurable) await sync(paths.staging)
}

async function* listNotes(folders: Folders): AsyncGenerator<string, void, undefined> {
  const names: string[] = []
  for await (const { name } of await opendir(folders.staging)) if (NAME.test(name)) names.push(name)
  for (const name of names) {
    const file = await readNote(stagedPath(folders, name))
    // Another program may have put any file there.
    if (file !== null && name === `${hashOf(file.key)}.note`) yield file.key
  }
}

async function readNote(path: string): Promise<NoteFile | null> {
  const text = await readWhole(path, NOTE_SIZE)
  return text === null ? null : parseNote(text.toString())
}

/** Parses a file; null where a power cut has left an empty or a damaged one. */
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
