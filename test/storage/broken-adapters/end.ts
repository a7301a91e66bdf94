/** Mistakes in `keep`, `rollback`, and after the end of a writer. */
import { broken } from './break.ts'
import type { BrokenAdapter } from './break.ts'

const NEXT = 'lets a writer that has ended touch nothing of the next one'

export const endMistakes: readonly BrokenAdapter[] = [
  broken('keep takes a persist write back', 'keeps what a persist write has added', () => ({
    writer: (writer) => ({ keep: () => writer.rollback() }),
  })),
  broken('rollback keeps a persist write', 'undoes a persist write on rollback', () => ({
    writer: (writer) => ({ rollback: () => writer.keep() }),
  })),
  broken(
    'rollback leaves an empty resource',
    'removes on rollback what the write has created',
    () => ({
      writer: (writer, { storage, key, options }) => ({
        async rollback() {
          const isCreated = writer.base === null && (await storage.head(key)) !== null
          await writer.rollback()
          if (isCreated) await (await storage.openWriter(key, options)).commit(options.initial)
        },
      }),
    }),
  ),
  broken('keep commits an atomic write', 'keeps nothing of an atomic write', () => ({
    writer: (writer, { options }) => ({
      async keep() {
        if (writer.transaction === 'persist') await writer.keep()
        else await writer.commit(writer.base ?? options.initial).catch(() => {})
      },
    }),
  })),
  broken('keep throws the second time', 'does nothing on a writer that has ended', () => ({
    writer: (writer) => {
      let isEnded = false
      return {
        async keep() {
          if (isEnded) throw new Error('the writer has ended')
          isEnded = true
          await writer.keep()
        },
      }
    },
  })),
  broken(
    'rollback after commit takes the commit back',
    'does nothing on a writer that has ended',
    () => ({
      writer: (writer, { storage, key }) => ({
        async rollback() {
          await writer.rollback()
          const now = await storage.head(key)
          if (now === null || writer.base === null || now.size <= writer.base.size) return
          const next = await storage.openWriter(key, {
            transaction: 'atomic',
            replace: false,
            initial: now,
          })
          await next.truncate(writer.base.size)
          await next.commit(now)
        },
      }),
    }),
  ),
  broken('a writer that has ended still writes', NEXT, () => ({
    writer: (writer, { storage, key, options }) => ({
      write: (position, chunks) =>
        writer.write(position, chunks).catch(async (error: unknown) => {
          if (!String(error).includes('ended')) throw error
          const again = await storage.openWriter(key, options)
          await again.write(position, chunks)
          await again.keep()
        }),
    }),
  })),
  broken('truncate after the end is ignored', NEXT, () => ({
    writer: (writer) => ({
      truncate: (size) =>
        writer.truncate(size).catch((error: unknown) => {
          if (!String(error).includes('ended')) throw error
        }),
    }),
  })),
  broken('a second rollback removes what another writer has created', NEXT, () => ({
    writer: (writer, { storage, key }) => {
      let hasEnded = false
      return {
        rollback: async () => {
          if (hasEnded && writer.base === null) await storage.remove(key)
          else await writer.rollback()
          hasEnded = true
        },
      }
    },
  })),
]
