/**
 * The storage contract: a caller that has lost the lock of the key changes nothing any more,
 * because the next owner of the lock may already have changed the resource.
 */

import type { StorageAdapter, Writer } from '../adapter.ts'
import {
  ATOMIC,
  FINISHED,
  PERSIST,
  REPLACE,
  begin,
  check,
  equal,
  load,
  loadBytes,
  rejection,
  store,
  write,
} from './check.ts'
import type { StorageCheck } from './check.ts'

/** Creates a resource of one kind: absent, incomplete or finished. */
type Fill = (storage: StorageAdapter, key: string) => Promise<unknown>

const FILLS: readonly Fill[] = [
  async () => {},
  (storage, key) => begin(storage, key, 'begun'),
  (storage, key) => store(storage, key, 'finished'),
]

/** The methods that must reject without the lock. */
const CHANGES: Readonly<Record<string, (writer: Writer) => Promise<unknown>>> = {
  write: (writer) => write(writer, 0, 'lost'),
  truncate: (writer) => writer.truncate(writer.base?.size ?? 0),
  commit: (writer) => writer.commit(FINISHED),
}

/** The checks of callers that have lost the lock, a part of `storageContract`. */
export const fencingChecks: readonly StorageCheck[] = [
  // The protocol passes `isLost`, which returns true as soon as another process may have the lock.
  // A writer must ask it before each change, and reject. The process may have been suspended for
  // minutes and not know that it has lost anything, while the next owner is writing: each further
  // change would mix the bytes of two uploads in one file.
  check('changes nothing through a writer whose lock is lost', async (storage) => {
    for (const end of ['keep', 'rollback'] as const) {
      await forEachWriter(storage, async (writer, lose, key) => {
        await write(writer, writer.base?.size ?? 0, 'more')
        lose()
        // The bytes of a persist write from before the loss may stay. From here on nothing may
        // change.
        const before = await loadBytes(storage, key)
        for (const [name, change] of Object.entries(CHANGES)) {
          await rejection(change(writer), `${name} without the lock`)
        }
        await writer[end]()
        equal(await load(storage, key), before, `the content after ${end} without the lock`)
      })
    }
  }),

  // The process ends its writer when it notices the loss, with `keep` or `rollback`. Both must
  // leave the resource as the next owner has committed it. A rollback that restores the old size,
  // or a temporary file that both writers share, would destroy a version that was acknowledged.
  check('changes nothing of the next owner of the lock', async (storage) => {
    for (const end of ['keep', 'rollback'] as const) {
      await forEachWriter(storage, async (writer, lose, key) => {
        await write(writer, writer.base?.size ?? 0, 'more')
        lose()
        await store(storage, key, 'the version of the next owner')
        await writer[end]()
        equal(await load(storage, key), 'the version of the next owner', `the content after ${end}`)
      })
    }
  }),

  // Expiry may have found an upload old before another process resumed it. `remove` must ask
  // `isLost` immediately before it removes, and reject. Otherwise it deletes bytes that the other
  // process has acknowledged, and the client has to start again.
  check('removes nothing for a caller whose lock is lost', async (storage) => {
    for (const [index, fill] of FILLS.entries()) {
      const key = `key-${index}`
      await fill(storage, key)
      const before = await storage.head(key)
      await rejection(storage.remove(key, { isLost: () => true }), 'remove without the lock')
      equal(await storage.head(key), before, 'the version after remove without the lock')
      equal(await storage.remove(key, { isLost: () => false }), before !== null, 'remove')
    }
  }),
]

/** Opens each kind of writer on each kind of resource. `lose` makes `isLost` return true. */
async function forEachWriter(
  storage: StorageAdapter,
  body: (writer: Writer, lose: () => void, key: string) => Promise<void>,
): Promise<void> {
  for (const options of [PERSIST, ATOMIC, REPLACE]) {
    for (const fill of FILLS) {
      const key = 'a'
      await fill(storage, key)
      let isLost = false
      const writer = await storage.openWriter(key, { ...options, isLost: () => isLost })
      const lose = (): void => {
        isLost = true
      }
      await body(writer, lose, key)
      await storage.remove(key)
    }
  }
}
