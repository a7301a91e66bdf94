/** memoryStorage with one planted mistake. */
import type {
  OpenWriterOptions,
  Reader,
  ResourceInfo,
  StorageAdapter,
  Writer,
} from '../../../src/storage/adapter.ts'
import { memoryStorage } from '../../../src/storage/memory.ts'

/** The parts of an adapter that a mistake can use. */
export interface Site {
  /** The storage without the mistake. */
  readonly storage: StorageAdapter
  readonly key: string
}

/** The methods that the mistake replaces. */
export interface Mistake {
  readonly storage?: (storage: StorageAdapter) => Partial<StorageAdapter>
  readonly reader?: (reader: Reader, site: Site) => Partial<Reader>
  readonly writer?: (
    writer: Writer,
    site: Site & { readonly options: OpenWriterOptions },
  ) => Partial<Writer>
  /** Changes every info that the storage returns. */
  readonly info?: (info: ResourceInfo, key: string) => ResourceInfo
}

/** A row of the table: an adapter with one mistake. */
export interface BrokenAdapter {
  /** Description of the mistake. */
  readonly name: string
  /** Title of the check that has to fail. */
  readonly caughtBy: string
  readonly create: () => StorageAdapter
}

/**
 * Makes a row; `plant` is called once for each storage, so that its variables are the storage's
 * own.
 */
export function broken(name: string, caughtBy: string, plant: () => Mistake): BrokenAdapter {
  return { name, caughtBy, create: () => adapterWith(plant()) }
}

function adapterWith({ storage, reader, writer, info = (same) => same }: Mistake): StorageAdapter {
  const inner = memoryStorage()
  const changed = (found: ResourceInfo | null, key: string) => found && info(found, key)
  return {
    head: async (key) => changed(await inner.head(key), key),
    async openReader(key) {
      const found = await inner.openReader(key)
      if (found === null) return null
      const whole = { ...found, info: info(found.info, key) }
      return { ...whole, ...reader?.(whole, { storage: inner, key }) }
    },
    async openWriter(key, options) {
      const found = await inner.openWriter(key, options)
      const whole: Writer = {
        base: changed(found.base, key),
        transaction: found.transaction,
        write: (position, chunks) => found.write(position, chunks),
        truncate: (size) => found.truncate(size),
        read: (start, end) => found.read(start, end),
        commit: async (state) => info(await found.commit(state), key),
        keep: () => found.keep(),
        rollback: () => found.rollback(),
      }
      return { ...whole, ...writer?.(whole, { storage: inner, key, options }) }
    },
    remove: (key, options) => inner.remove(key, options),
    listIncomplete: () => inner.listIncomplete?.() ?? nothing(),
    ...storage?.(inner),
  }
}

async function* nothing(): AsyncIterable<string> {}

/** Returns all chunks as one array. */
export function joined(chunks: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(chunks))
}

/** Yields the chunks of an iterable after `change` has changed them. */
export async function* mapped(
  chunks: AsyncIterable<Uint8Array>,
  change: (chunk: Uint8Array, index: number) => Uint8Array,
): AsyncIterable<Uint8Array> {
  let index = 0
  for await (const chunk of chunks) {
    yield change(chunk, index)
    index += 1
  }
}

/** Resolves in the next turn of the event loop. */
export function aMoment(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
