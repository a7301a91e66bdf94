/** Mistakes in `write` and `truncate`. */
import { aMoment, broken, joined } from './break.ts'
import type { BrokenAdapter } from './break.ts'

const CHUNKS = 'writes all chunks, empty ones among them'
const VIEWS = 'writes chunks that are parts of larger arrays, and leaves them as they are'
const EMPTY = 'changes nothing by a write of no bytes'
const BEYOND = 'refuses a persist write beyond the end, and can resume'

export const writeMistakes: readonly BrokenAdapter[] = [
  broken('only the first chunk is written', CHUNKS, () => ({
    writer: (writer) => ({
      write: (position, chunks) => writer.write(position, chunks.slice(0, 1)),
    }),
  })),
  broken('an empty chunk ends the write', CHUNKS, () => ({
    writer: (writer) => ({
      write(position, chunks) {
        const end = chunks.findIndex((chunk) => chunk.length === 0)
        return writer.write(position, end === -1 ? chunks : chunks.slice(0, end))
      },
    }),
  })),
  broken('chunks after the thousandth are lost', CHUNKS, () => ({
    writer: (writer) => ({
      write: (position, chunks) => writer.write(position, chunks.slice(0, 1000)),
    }),
  })),
  broken('each chunk is written to the position of the first', CHUNKS, () => ({
    writer: (writer) => ({
      async write(position, chunks) {
        for (const chunk of chunks) await writer.write(position, [chunk])
      },
    }),
  })),
  broken(
    'bytes of a write beyond 1 MiB are lost',
    'writes one chunk of many megabytes, and many chunks of different sizes',
    () => ({
      writer: (writer) => ({
        write(position, chunks) {
          const all = joined(chunks)
          return writer.write(position, [all.fill(0, Math.min(all.length, 1_048_576))])
        },
      }),
    }),
  ),
  broken('the buffer of a chunk is written instead of the chunk', VIEWS, () => ({
    writer: (writer) => ({
      write: (position, chunks) =>
        writer.write(
          position,
          chunks.map((chunk) => new Uint8Array(chunk.buffer.slice(0, chunk.length))),
        ),
    }),
  })),
  broken(
    'chunks are kept by reference until the next call',
    'does not keep the chunks that it is lent',
    () => ({
      writer: (writer) => {
        let kept: { position: number; chunks: readonly Uint8Array[] } | null = null
        const flush = async (): Promise<void> => {
          if (kept !== null) await writer.write(kept.position, kept.chunks)
          kept = null
        }
        return {
          async write(position, chunks) {
            await flush()
            kept = { position, chunks }
          },
          async commit(state) {
            await flush()
            return writer.commit(state)
          },
        }
      },
    }),
  ),
  broken('the list of chunks is kept by reference', VIEWS, () => ({
    writer: (writer) => ({
      async write(position, chunks) {
        void aMoment()
          .then(() => writer.write(position, chunks))
          .catch(() => {})
      },
      async commit(state) {
        await aMoment()
        await aMoment()
        return writer.commit(state)
      },
    }),
  })),
  broken('chunks are cleared after the write', VIEWS, () => ({
    writer: (writer) => ({
      async write(position, chunks) {
        await writer.write(position, chunks)
        for (const chunk of chunks) chunk.fill(0)
      },
    }),
  })),
  broken('an empty write creates the resource', EMPTY, () => ({
    writer: (writer, { storage, key, options }) => ({
      async write(position, chunks) {
        await writer.write(position, chunks)
        if (writer.base !== null || joined(chunks).length > 0) return
        await (await storage.openWriter(key, options)).commit(options.initial)
      },
    }),
  })),
  broken('an empty write truncates to its position', EMPTY, () => ({
    writer: (writer) => ({
      async write(position, chunks) {
        if (joined(chunks).length > 0) await writer.write(position, chunks)
        else if (writer.transaction === 'atomic') await writer.truncate(position)
      },
    }),
  })),
  broken('a write ends the content', 'writes over bytes and beyond the end at once', () => ({
    writer: (writer) => ({
      async write(position, chunks) {
        await writer.write(position, chunks)
        const end = position + joined(chunks).length
        if (writer.transaction === 'atomic') await writer.truncate(end)
      },
    }),
  })),
  broken(
    'a write over bytes is appended instead',
    'writes over bytes and beyond the end at once',
    () => ({
      writer: (writer) => {
        let size = writer.base?.size ?? 0
        return {
          async write(_position, chunks) {
            await writer.write(size, chunks)
            size += joined(chunks).length
          },
        }
      },
    }),
  ),
  broken('a persist write beyond the end is moved to the end', BEYOND, () => ({
    writer: (writer) => {
      let size = writer.base?.size ?? 0
      return {
        async write(position, chunks) {
          const at = writer.transaction === 'persist' ? Math.min(position, size) : position
          await writer.write(at, chunks)
          size = Math.max(size, at + joined(chunks).length)
        },
      }
    },
  })),
  broken('a persist write beyond the end leaves a gap of zeros', BEYOND, () => ({
    writer: (writer) => {
      let size = writer.base?.size ?? 0
      return {
        async write(position, chunks) {
          if (position > size) await writer.write(size, [new Uint8Array(position - size)])
          await writer.write(position, chunks)
          size = Math.max(size, position + joined(chunks).length)
        },
      }
    },
  })),
  broken('a refused write ends the writer', BEYOND, () => ({
    writer: (writer) => ({
      write: (position, chunks) =>
        writer.write(position, chunks).catch(async (error: unknown) => {
          await writer.keep()
          throw error
        }),
    }),
  })),
  broken(
    'the gap of an atomic write holds other bytes',
    'reads zeros in the gap of an atomic write',
    () => ({
      writer: (writer) => {
        let size = writer.base?.size ?? 0
        return {
          async write(position, chunks) {
            if (position > size && writer.transaction === 'atomic') {
              await writer.write(size, [new Uint8Array(position - size).fill(115)])
            }
            await writer.write(position, chunks)
            size = Math.max(size, position + joined(chunks).length)
          },
        }
      },
    }),
  ),
  broken(
    'truncate goes below the base of a persist write',
    'refuses to truncate what a persist write has not added',
    () => ({
      writer: (writer, { storage, key, options }) => ({
        async truncate(size) {
          if (writer.base === null || writer.transaction === 'atomic' || size >= writer.base.size) {
            await writer.truncate(size)
            return
          }
          const other = await storage.openWriter(key, { ...options, transaction: 'atomic' })
          await other.truncate(size)
          await other.commit(writer.base)
        },
      }),
    }),
  ),
  broken(
    'truncate below the base is ignored',
    'refuses to truncate what a persist write has not added',
    () => ({
      writer: (writer) => ({
        async truncate(size) {
          const least = writer.transaction === 'persist' ? (writer.base?.size ?? 0) : 0
          if (size >= least) await writer.truncate(size)
        },
      }),
    }),
  ),
  broken('truncate beyond the end is ignored', 'refuses to truncate beyond the end', () => ({
    writer: (writer) => ({
      truncate: (size) =>
        writer.truncate(size).catch((error: unknown) => {
          if (size < (writer.base?.size ?? 0)) throw error
        }),
    }),
  })),
  broken('truncate beyond the end grows the content', 'refuses to truncate beyond the end', () => ({
    writer: (writer) => {
      let size = writer.base?.size ?? 0
      return {
        async write(position, chunks) {
          await writer.write(position, chunks)
          size = Math.max(size, position + joined(chunks).length)
        },
        async truncate(to) {
          if (to > size) await writer.write(size, [new Uint8Array(to - size)])
          else await writer.truncate(to)
          size = to
        },
      }
    },
  })),
  broken('truncate leaves a byte too many', 'truncates', () => ({
    writer: (writer) => ({
      truncate: (size) =>
        writer
          .truncate(writer.transaction === 'atomic' ? size + 1 : size)
          .catch(() => writer.truncate(size)),
    }),
  })),
  broken(
    'all writers share one position',
    'writes several resources at the same time, each on its own',
    () => {
      let last: string | null = null
      return {
        writer: (writer, { key }) => ({
          async write(position, chunks) {
            last = key
            await aMoment()
            if (last === key) await writer.write(position, chunks)
          },
        }),
      }
    },
  ),
]
