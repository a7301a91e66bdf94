/** Mistakes in the bytes that readers and writers return. */
import type { Reader } from '../../../src/storage/adapter.ts'
import { broken, mapped } from './break.ts'
import type { BrokenAdapter } from './break.ts'

const MIB = 1024 * 1024
const MANY = 'stores and reads any range of many megabytes'
const WRITER = 'reads any range of many megabytes from a writer'
const AT_ONCE = 'reads in several places at once, each read on its own'

export const readMistakes: readonly BrokenAdapter[] = [
  broken('a read ends after 2 MiB', MANY, () => ({
    reader: (reader) => ({
      read: (start, end) => reader.read(start, Math.min(end, start + 2 * MIB)),
    }),
  })),
  broken('bytes beyond 2 MiB read as zeros', MANY, () => ({
    reader: (reader) => ({
      read: (start, end) =>
        mapped(reader.read(start, end), (chunk, index) =>
          start + index * 65_536 >= 2 * MIB ? new Uint8Array(chunk.length) : chunk,
        ),
    }),
  })),
  broken('positions beyond 8 MiB wrap around', MANY, () => ({
    reader: (reader) => ({
      read: (start, end) =>
        start >= 8 * MIB
          ? reader.read(start % (8 * MIB), (start % (8 * MIB)) + end - start)
          : reader.read(start, end),
    }),
  })),
  broken('a read with an offset beyond 1 MiB begins a byte late', MANY, () => ({
    reader: (reader) => ({
      read: (start, end) =>
        start > MIB && end < reader.info.size
          ? reader.read(start + 1, end + 1)
          : reader.read(start, end),
    }),
  })),
  broken('a read ignores its start', 'reads any range', () => ({
    reader: (reader) => ({ read: (start, end) => reader.read(0, end - start) }),
  })),
  broken('a read goes to the end of the content', 'reads any range', () => ({
    reader: (reader) => ({ read: (start) => reader.read(start, reader.info.size) }),
  })),
  broken('the end of a range is read as inclusive', 'reads any range', () => ({
    reader: (reader) => ({
      read: (start, end) => reader.read(start, Math.min(end + 1, reader.info.size)),
    }),
  })),
  broken('all reads share one buffer', AT_ONCE, () => {
    const shared = new Uint8Array(65_536)
    return {
      reader: (reader) => ({
        read: (start, end) =>
          mapped(reader.read(start, end), (chunk) => {
            shared.set(chunk)
            return shared.subarray(0, chunk.length)
          }),
      }),
    }
  }),
  broken('a read reuses its buffer', 'reads any range', () => ({
    reader: (reader) => ({
      read: (start, end) => {
        const own = new Uint8Array(65_536)
        return mapped(reader.read(start, end), (chunk) => {
          own.set(chunk)
          return own.subarray(0, chunk.length)
        })
      },
    }),
  })),
  broken('the reads of a reader share a cursor', AT_ONCE, () => ({
    reader: (reader) => {
      let cursor = 0
      return {
        async *read(start, end) {
          cursor = start
          for (let left = end - start; left > 0;) {
            const size = Math.min(left, 65_536)
            yield* reader.read(cursor, Math.min(cursor + size, reader.info.size))
            cursor += size
            left -= size
          }
        },
      }
    },
  })),
  broken('a reader can be read once', 'reads the same a second time', () => ({
    reader: (reader) => {
      let isRead = false
      return {
        read: (start, end) => {
          const result = reader.read(start, isRead ? start : end)
          isRead = true
          return result
        },
      }
    },
  })),
  broken(
    'closing a reader closes all of the key',
    'closes one reader and leaves the others',
    () => {
      const closed = new Set<string>()
      return {
        reader: (reader, { key }) => {
          closed.delete(key)
          return {
            async *read(start, end) {
              for await (const chunk of reader.read(start, end)) {
                if (closed.has(key)) throw new Error('the file is closed')
                yield chunk
              }
            },
            async close() {
              closed.add(key)
            },
          }
        },
      }
    },
  ),
  broken('closing twice throws', 'lets a caller leave a read before its end', () => ({
    reader: () => {
      let isClosed = false
      return {
        async close() {
          if (isClosed) throw new Error('the reader is closed')
          isClosed = true
        },
      }
    },
  })),
  broken(
    'a reader follows the current version',
    'reads one version while the resource is patched',
    () => ({
      reader: (reader, { storage, key }) => ({
        async *read(start, end) {
          yield* ((await storage.openReader(key)) ?? reader).read(start, end)
        },
      }),
    }),
  ),
  broken(
    'a read that has begun follows a replacement',
    'resumes a read that began before the resource was changed',
    () => ({
      reader: (reader, { storage, key }) => {
        const { etag } = reader.info
        return {
          async *read(start, end) {
            let at = start
            for await (const chunk of reader.read(start, end)) {
              const now = at === start ? null : await storage.openReader(key)
              const isOther = now !== null && now.info.etag !== etag
              if (isOther) yield* now.read(at, Math.min(at + chunk.length, now.info.size))
              else yield chunk
              at += chunk.length
            }
          },
        }
      },
    }),
  ),
  broken(
    'a removed resource can no longer be read',
    'reads one version while the resource is removed',
    () => ({
      reader: (reader, { storage, key }) => ({
        async *read(start, end) {
          if ((await storage.head(key)) === null) throw new Error('no such file')
          yield* reader.read(start, end)
        },
      }),
    }),
  ),
  broken(
    'the info of a reader follows the resource',
    'resumes a read that began before the resource was changed',
    () => ({
      reader: (reader, { storage, key }) => {
        const info = { ...reader.info }
        return {
          info,
          async *read(start, end) {
            Object.assign(info, await storage.head(key))
            yield* reader.read(start, end)
          },
        }
      },
    }),
  ),
  broken('a writer reads at most 4 KiB', WRITER, () => ({
    writer: (writer) => ({
      read: (start, end) => writer.read(start, Math.min(end, start + 4096)),
    }),
  })),
  broken('a writer reads the base where it has written beyond 1 MiB', WRITER, () => ({
    writer: (writer, { storage, key }) => ({
      async *read(start, end) {
        const base = writer.base === null ? null : await storage.openReader(key)
        const isOld = start > MIB && base !== null && writer.transaction === 'atomic'
        yield* isOld ? base.read(start, Math.min(end, base.info.size)) : writer.read(start, end)
      },
    }),
  })),
  broken(
    'a writer that replaces reads the base',
    'reads nothing of the base through a writer that replaces it',
    () => ({
      writer: (writer, { storage, key, options }) => ({
        async *read(start, end) {
          const base = options.replace ? await storage.openReader(key) : null
          yield* (base ?? writer).read(start, end)
        },
      }),
    }),
  ),
  broken(
    'chunks that were read change later',
    'never changes a chunk that it has given out',
    () => {
      const given = new Map<string, Uint8Array[]>()
      return {
        reader: (reader, { key }) => ({
          read: (start, end) =>
            mapped(reader.read(start, end), (chunk) => {
              given.set(key, [...(given.get(key) ?? []), chunk])
              return chunk
            }),
        }),
        writer: (writer, { key }) => ({
          async write(position, chunks) {
            await writer.write(position, chunks)
            for (const chunk of given.get(key) ?? []) chunk.fill(0)
          },
        }),
      }
    },
  ),
  broken('head disturbs a writer', 'shows each persist write once it is done', () => {
    const disturbed = new Set<string>()
    return {
      storage: (storage) => ({
        async head(key) {
          disturbed.add(key)
          return storage.head(key)
        },
      }),
      writer: (writer, { key }) => {
        disturbed.delete(key)
        return {
          async write(position, chunks) {
            if (!disturbed.has(key)) await writer.write(position, chunks)
          },
        }
      },
    }
  }),
  broken(
    'openReader returns the first version again',
    'shows each persist write once it is done',
    () => {
      const first = new Map<string, Reader>()
      return {
        storage: (storage) => ({
          async openReader(key) {
            const reader = first.get(key) ?? (await storage.openReader(key))
            if (reader !== null) first.set(key, reader)
            return reader
          },
        }),
      }
    },
  ),
]
