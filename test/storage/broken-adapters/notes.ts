/** Mistakes in `notes`. */
import type { ChangeNotes, StorageAdapter } from '../../../src/storage/adapter.ts'
import { broken } from './break.ts'
import type { BrokenAdapter } from './break.ts'

const LAST = 'keeps the last note of each key until it is removed'
const LISTS = 'lists each key with a note once, also while notes are removed'
const KEEPS = 'keeps a note whether its resource exists, changes or is removed'

export const notesMistakes: readonly BrokenAdapter[] = [
  noting('the first note of a key stays', LAST, (notes) => ({
    async write(key, note) {
      if (!notes.has(key)) notes.set(key, note)
    },
  })),
  noting('a note is stored as Latin-1', LAST, (notes) => ({
    async write(key, note) {
      notes.set(key, Buffer.from(note, 'latin1').toString('latin1'))
    },
  })),
  noting('a removed note stays', LAST, () => ({ async remove() {} })),
  noting('all notes are removed with one', LAST, (notes) => ({
    async remove() {
      notes.clear()
    },
  })),
  noting('keys are listed encoded', LISTS, (notes) => ({
    async *list() {
      for (const key of notes.keys()) yield encodeURIComponent(key)
    },
  })),
  noting('the list skips a key after each removed note', LISTS, (notes) => ({
    async *list() {
      for (let index = 0; index < notes.size; index += 1) yield [...notes.keys()][index] ?? ''
    },
  })),
  noting('a note is removed with its resource', KEEPS, (notes, storage) => ({
    storage: {
      async remove(key) {
        notes.delete(key)
        return storage.remove(key)
      },
    },
  })),
]

/** An adapter with notes in a map. `change` replaces methods of the notes, and of the storage. */
function noting(
  name: string,
  caughtBy: string,
  change: (
    notes: Map<string, string>,
    storage: StorageAdapter,
  ) => Partial<ChangeNotes> & { readonly storage?: Partial<StorageAdapter> },
): BrokenAdapter {
  return broken(name, caughtBy, () => ({
    storage(inner) {
      const notes = new Map<string, string>()
      const { storage, ...methods } = change(notes, inner)
      return { ...storage, notes: { ...mapNotes(notes), ...methods } }
    },
  }))
}

function mapNotes(notes: Map<string, string>): ChangeNotes {
  return {
    read: async (key) => Promise.resolve(notes.get(key) ?? null),
    write: async (key, note) => Promise.resolve(void notes.set(key, note)),
    remove: async (key) => Promise.resolve(void notes.delete(key)),
    async *list() {
      yield* [...notes.keys()]
    },
  }
}
