/** Mistakes in keys, `remove` and `listIncomplete`. */
import { createHash } from 'node:crypto'

import { UploadError } from '../../../src/errors.ts'
import type { StorageAdapter } from '../../../src/storage/adapter.ts'
import { broken } from './break.ts'
import type { BrokenAdapter } from './break.ts'

const APART = 'keeps keys apart, those that differ only late or in case among them'
const REMOVES = 'removes a resource and none whose key begins or ends like it'
const ONCE = 'lists each resource in progress once, under its key'
const UNTIL = 'lists a resource from its first bytes until it is finished'
const CUT = 'lists what an interrupted write left, and nothing of an undone one'
const WHILE = 'lists all while the listed ones are removed, and for two callers at once'

/** Stores each key under another name. */
function naming(name: string, rename: (key: string) => string): BrokenAdapter {
  return broken(`${name} are one key`, APART, () => ({
    storage: (storage) => ({
      head: (key) => storage.head(rename(key)),
      openReader: (key) => storage.openReader(rename(key)),
      openWriter: (key, options) => storage.openWriter(rename(key), options),
      remove: (key) => storage.remove(rename(key)),
    }),
  }))
}

/** Lists other keys than the incomplete ones. */
function listing(
  name: string,
  caughtBy: string,
  list: (keys: readonly string[], storage: StorageAdapter) => Iterable<string>,
): BrokenAdapter {
  return broken(name, caughtBy, () => ({
    storage: (storage) => ({
      async *listIncomplete() {
        yield* list(await keysOf(storage), storage)
      },
    }),
  }))
}

async function keysOf(storage: StorageAdapter): Promise<string[]> {
  const keys: string[] = []
  for await (const key of storage.listIncomplete?.() ?? []) keys.push(key)
  return keys
}

function wrongCode(
  code: 'ERR_INVALID_PART' | 'ERR_KEY_CONFLICT',
  where: 'head' | 'openReader' | 'remove',
) {
  return broken(
    `${where} refuses a key with ${code}`,
    'refuses a key in the same way everywhere',
    () => ({
      storage: (storage) => {
        const refuse = (key: string, as: string): void => {
          if (key.includes('..')) throw new UploadError(as as 'ERR_KEY', { detail: 'two dots' })
        }
        return {
          async openWriter(key, options) {
            refuse(key, 'ERR_KEY')
            return storage.openWriter(key, options)
          },
          async head(key) {
            refuse(key, where === 'head' ? code : 'ERR_KEY')
            return storage.head(key)
          },
          async openReader(key) {
            refuse(key, where === 'openReader' ? code : 'ERR_KEY')
            return storage.openReader(key)
          },
          async remove(key) {
            refuse(key, where === 'remove' ? code : 'ERR_KEY')
            return storage.remove(key)
          },
        }
      },
    }),
  )
}

export const keyMistakes: readonly BrokenAdapter[] = [
  naming('keys that differ in case', (key) => key.toLowerCase()),
  naming('keys that differ beyond 100 characters', (key) => key.slice(0, 100)),
  naming('keys that differ beyond 400 characters', (key) => key.slice(0, 400)),
  naming('keys that differ before the last 150 characters', (key) => key.slice(-150)),
  naming('the same names in different folders', (key) => key.slice(key.lastIndexOf('/') + 1)),
  naming('keys that differ in punctuation', (key) => key.replaceAll(/[^\w/]/g, '_')),
  naming('an encoded key and its decoded form', (key) => key.replaceAll('%20', ' ')),
  naming('keys of one canonical form', (key) => key.normalize()),
  naming('keys with spaces around', (key) => key.trim()),
  naming('a slash and a minus', (key) => key.replaceAll('/', '-')),
  naming('keys with the same short hash', (key) =>
    createHash('sha256').update(key).digest('hex').slice(0, 1),
  ),
  broken('remove takes all keys that begin with the name', REMOVES, () => ({
    storage: (storage) => {
      const keys = new Set<string>()
      return {
        openWriter(key, options) {
          keys.add(key)
          return storage.openWriter(key, options)
        },
        async remove(key) {
          const isRemoved = await storage.remove(key)
          for (const other of keys) if (other.startsWith(key)) await storage.remove(other)
          return isRemoved
        },
      }
    },
  })),
  broken('remove takes the folder with the last name', REMOVES, () => ({
    storage: (storage) => {
      const keys = new Set<string>()
      return {
        openWriter(key, options) {
          keys.add(key)
          return storage.openWriter(key, options)
        },
        async remove(key) {
          const below = [...keys].filter((other) => other.startsWith(`${key}/`))
          for (const other of below) await storage.remove(other)
          return (await storage.remove(key)) || below.length > 0
        },
      }
    },
  })),
  broken('remove always returns true', 'returns null or false for an absent resource', () => ({
    storage: (storage) => ({
      remove: async (key) => storage.remove(key).then(() => true),
    }),
  })),
  broken('remove leaves what is finished', 'removes a resource once', () => ({
    storage: (storage) => ({
      async remove(key) {
        const info = await storage.head(key)
        return info?.complete === true ? true : storage.remove(key)
      },
    }),
  })),
  broken('remove resolves too early', REMOVES, () => ({
    storage: (storage) => ({
      async remove(key) {
        const info = await storage.head(key)
        setImmediate(() => void storage.remove(key))
        return info !== null
      },
    }),
  })),
  wrongCode('ERR_INVALID_PART', 'head'),
  wrongCode('ERR_KEY_CONFLICT', 'openReader'),
  wrongCode('ERR_INVALID_PART', 'remove'),
  broken(
    'a conflict is thrown as another error',
    'stores a key below another one, or refuses it as a conflict',
    () => ({
      storage: (storage) => ({
        async openWriter(key, options) {
          const above = key.split('/').slice(0, -1).join('/')
          if (above !== '' && (await storage.head(above)) !== null) {
            throw new UploadError('ERR_KEY', { detail: 'below another key' })
          }
          return storage.openWriter(key, options)
        },
      }),
    }),
  ),
  listing('listIncomplete lists nothing', ONCE, () => []),
  listing('listIncomplete lists at most 100', ONCE, (keys) => keys.slice(0, 100)),
  listing('listIncomplete lists each twice', ONCE, (keys) => keys.flatMap((key) => [key, key])),
  listing('listIncomplete leaves one out', ONCE, (keys) => keys.slice(1)),
  listing('listIncomplete encodes keys', ONCE, (keys) =>
    keys.map((key) => encodeURIComponent(key)),
  ),
  listing('listIncomplete lists names without folders', ONCE, (keys) =>
    keys.map((key) => key.slice(key.lastIndexOf('/') + 1)),
  ),
  broken('listIncomplete lists finished resources', ONCE, () => ({
    storage: (storage) => {
      const finished = new Set<string>()
      return {
        async *listIncomplete() {
          yield* await keysOf(storage)
          for (const key of finished) if ((await storage.head(key))?.complete === true) yield key
        },
        openWriter(key, options) {
          finished.add(key)
          return storage.openWriter(key, options)
        },
      }
    },
  })),
  broken('listIncomplete lists removed resources', ONCE, () => ({
    storage: (storage) => {
      const seen = new Set<string>()
      return {
        async *listIncomplete() {
          for (const key of await keysOf(storage)) seen.add(key)
          for (const key of seen) if ((await storage.head(key))?.complete !== true) yield key
        },
      }
    },
  })),
  broken('listIncomplete does not list empty resources', UNTIL, () => ({
    storage: (storage) => ({
      async *listIncomplete() {
        for (const key of await keysOf(storage)) {
          if (((await storage.head(key))?.size ?? 0) > 0) yield key
        }
      },
    }),
  })),
  broken('listIncomplete does not list what was finished once', UNTIL, () => ({
    storage: (storage) => ({
      async *listIncomplete() {
        for (const key of await keysOf(storage)) {
          if ((await storage.head(key))?.everComplete === false) yield key
        }
      },
    }),
  })),
  broken('listIncomplete lists absent resources that are being written', CUT, () => {
    const open = new Set<string>()
    return {
      storage: (storage) => ({
        async *listIncomplete() {
          yield* new Set([...open, ...(await keysOf(storage))])
        },
      }),
      writer: (writer, { key }) => ({
        async write(position, chunks) {
          open.add(key)
          await writer.write(position, chunks)
        },
        async commit(state) {
          open.delete(key)
          return writer.commit(state)
        },
      }),
    }
  }),
  broken('listIncomplete lists only what was committed', CUT, () => {
    const committed = new Set<string>()
    return {
      storage: (storage) => ({
        async *listIncomplete() {
          for (const key of await keysOf(storage)) if (committed.has(key)) yield key
        },
      }),
      writer: (writer, { key }) => ({
        commit(state) {
          committed.add(key)
          return writer.commit(state)
        },
      }),
    }
  }),
  broken('two lists share a cursor', WHILE, () => ({
    storage: (storage) => {
      let shared: AsyncIterator<string> | null = null
      return {
        async *listIncomplete() {
          shared ??= storage.listIncomplete?.()[Symbol.asyncIterator]() ?? null
          for (let step = await shared?.next(); step?.done === false; step = await shared?.next()) {
            yield step.value
          }
          shared = null
        },
      }
    },
  })),
  broken('a list skips keys while listed ones are removed', WHILE, () => ({
    storage: (storage) => ({
      async *listIncomplete() {
        for (let index = 0; ; index += 1) {
          const key = (await keysOf(storage))[index]
          if (key === undefined) return
          yield key
        }
      },
    }),
  })),
]
