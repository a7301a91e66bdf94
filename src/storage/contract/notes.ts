/** The storage contract: `notes`, for storages that have them. */

import type { ChangeNotes } from '../adapter.ts'
import { begin, check, equal, load, store } from './check.ts'
import type { StorageCheck } from './check.ts'

const ODD_KEYS = ['a b', 'nested/a', 'nested/deeper/ä 日本', '100%', 'a%2Fb']
/** A note has two versions of a resource, whose type and name may be long. */
const LONG = `{"text": "ä 日本 \\n"}\n${'x'.repeat(10_000)}`

/** The checks of `notes`, a part of `storageContract`. */
export const notesChecks: readonly StorageCheck[] = [
  // The app is notified of the change that the note describes, under the key of the note.
  check('keeps the last note of each key until it is removed', async ({ notes }) => {
    if (notes === undefined) return
    equal(await notes.read('a'), null, 'the note of a key without one')
    await notes.remove('a')
    await notes.write('a', 'first')
    await notes.write('a', LONG)
    await notes.write('b', 'other')
    equal(await notes.read('a'), LONG, 'the note that was written last')
    await notes.remove('a')
    equal(await notes.read('a'), null, 'a note after it was removed')
    equal(await notes.read('b'), 'other', 'the note of another key')
  }),

  // The next process finds the notes only by the list.
  check('lists each key with a note once, also while notes are removed', async ({ notes }) => {
    if (notes === undefined) return
    equal(await listed(notes), [], 'the keys of an empty storage')
    for (const key of ODD_KEYS) {
      await notes.write(key, 'first')
      await notes.write(key, 'second')
    }
    equal(await listed(notes), ODD_KEYS.toSorted(), 'the keys with a note')
    const seen: string[] = []
    for await (const key of notes.list()) {
      seen.push(key)
      await notes.remove(key)
    }
    equal(seen.toSorted(), ODD_KEYS.toSorted(), 'the keys while their notes are removed')
    equal(await listed(notes), [], 'the keys after all notes were removed')
  }),

  // The note of a removal is read when its resource is absent, perhaps hours later.
  check('keeps a note whether its resource exists, changes or is removed', async (storage) => {
    const { notes } = storage
    if (notes === undefined) return
    await notes.write('a', 'note')
    equal(await storage.head('a'), null, 'the resource of a key that has only a note')
    await begin(storage, 'a', 'abc')
    await store(storage, 'a', 'abcdef')
    equal(await load(storage, 'a'), 'abcdef', 'the content beside a note')
    await storage.remove('a')
    await storage.sweep?.()
    equal(await notes.read('a'), 'note', 'the note after the resource was removed')
  }),
]

async function listed(notes: ChangeNotes): Promise<readonly string[]> {
  const keys: string[] = []
  for await (const key of notes.list()) keys.push(key)
  return keys.toSorted()
}
