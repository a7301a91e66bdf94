/** Mistakes of an adapter that does not ask, or asks too early, whether the lock is lost. */
import type { OpenWriterOptions, StorageAdapter, Writer } from '../../../src/storage/adapter.ts'
import { broken } from './break.ts'
import type { BrokenAdapter } from './break.ts'

const NOTHING = 'changes nothing through a writer whose lock is lost'
const NEXT = 'changes nothing of the next owner of the lock'
const REMOVE = 'removes nothing for a caller whose lock is lost'

/**
 * Makes a mistake whose writers have the methods that `change` makes from a writer that ignores
 * locks.
 */
function unfenced(
  name: string,
  caughtBy: string,
  change: (writer: Writer, fenced: () => boolean) => Partial<Writer>,
): BrokenAdapter {
  return broken(name, caughtBy, () => ({
    storage: (storage) => ({
      openWriter: (key, options) => openUnfenced(storage, key, options, change),
    }),
  }))
}

async function openUnfenced(
  storage: StorageAdapter,
  key: string,
  { isLost = () => false, ...options }: OpenWriterOptions,
  change: (writer: Writer, isLost: () => boolean) => Partial<Writer>,
): Promise<Writer> {
  const writer = await storage.openWriter(key, options)
  const assertHeld = async (): Promise<void> => {
    if (isLost()) throw new Error('another process has the lock')
  }
  return {
    base: writer.base,
    transaction: writer.transaction,
    write: async (...args) => assertHeld().then(() => writer.write(...args)),
    truncate: async (...args) => assertHeld().then(() => writer.truncate(...args)),
    read: (...args) => writer.read(...args),
    commit: async (...args) => assertHeld().then(() => writer.commit(...args)),
    keep: () => writer.keep(),
    rollback: async () => (isLost() ? writer.keep() : writer.rollback()),
    ...change(writer, isLost),
  }
}

export const fencingMistakes: readonly BrokenAdapter[] = [
  unfenced('write does not ask for the lock', NOTHING, (writer) => ({
    write: (...args) => writer.write(...args),
  })),
  unfenced('truncate does not ask for the lock', NOTHING, (writer) => ({
    truncate: (...args) => writer.truncate(...args),
  })),
  unfenced('commit does not ask for the lock', NOTHING, (writer) => ({
    commit: (...args) => writer.commit(...args),
  })),
  unfenced('rollback does not ask for the lock', NOTHING, (writer) => ({
    rollback: () => writer.rollback(),
  })),
  unfenced('keep rejects where the lock is lost', NOTHING, (writer, isLost) => ({
    async keep() {
      if (isLost()) throw new Error('another process has the lock')
      await writer.keep()
    },
  })),
  broken('the end of a lost writer removes the key', NEXT, () => ({
    writer: (writer, { storage, key, options }) => ({
      async rollback() {
        if (options.isLost?.() === true) await storage.remove(key)
        await writer.rollback()
      },
    }),
  })),
  broken('remove does not ask for the lock', REMOVE, () => ({
    storage: (storage) => ({ remove: (key) => storage.remove(key) }),
  })),
  broken('remove asks for the lock after the change', REMOVE, () => ({
    storage: (storage) => ({
      async remove(key, { isLost } = {}) {
        const isRemoved = await storage.remove(key)
        if (isLost?.() === true) throw new Error('another process has the lock')
        return isRemoved
      },
    }),
  })),
  broken('remove treats any caller as one without the lock', REMOVE, () => ({
    storage: (storage) => ({
      async remove(key, options) {
        if (options?.isLost !== undefined) throw new Error('another process has the lock')
        return storage.remove(key)
      },
    }),
  })),
]
