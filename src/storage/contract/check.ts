/** What the checks of the storage contract are made of. */

import type { OpenWriterOptions, ResourceState, StorageAdapter, Writer } from '../adapter.ts'

/** One rule that an adapter has to keep. */
export interface StorageCheck {
  /** The rule, as a sentence without its subject. */
  readonly name: string
  /**
   * Tries it on the storage that `create` makes, which has to be empty; it is called once.
   *
   * @throws Error that tells what was found and what was expected.
   */
  readonly run: (create: () => StorageAdapter | Promise<StorageAdapter>) => Promise<void>
}

/** Makes a check. */
export function check(
  name: string,
  body: (storage: StorageAdapter) => Promise<void>,
): StorageCheck {
  return {
    name,
    async run(create) {
      await body(await create())
    },
  }
}

/** The state of an upload of unknown length that has just begun. */
export const BEGUN: ResourceState = {
  complete: false,
  everComplete: false,
  completeLength: null,
  contentType: null,
  contentDisposition: null,
  reprDigest: null,
  owner: null,
}

/** The state of a finished resource. */
export const FINISHED: ResourceState = { ...BEGUN, complete: true, everComplete: true }

/** How a writer of an upload in progress is opened. */
export const PERSIST: OpenWriterOptions = {
  transaction: 'persist',
  replace: false,
  initial: BEGUN,
}

/** How a writer that shows nothing before its commit is opened. */
export const ATOMIC: OpenWriterOptions = { ...PERSIST, transaction: 'atomic' }

/** How a writer that starts over is opened. */
export const REPLACE: OpenWriterOptions = { ...ATOMIC, replace: true }

/** The bytes of `text`; checks write text so that a failure can be read. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Writes `text` in one chunk. */
export function write(writer: Writer, position: number, text: string): Promise<void> {
  return writer.write(position, [bytes(text)])
}

/** Stores a finished resource. */
export async function store(storage: StorageAdapter, key: string, text: string): Promise<void> {
  const writer = await storage.openWriter(key, REPLACE)
  await write(writer, 0, text)
  await writer.commit({ ...FINISHED, completeLength: text.length })
}

/** Stores the beginning of a resource. */
export async function begin(storage: StorageAdapter, key: string, text: string): Promise<void> {
  const writer = await storage.openWriter(key, PERSIST)
  await write(writer, 0, text)
  await writer.commit(BEGUN)
}

/** Opens a persist writer; null if the storage has none, so that there is nothing to check. */
export async function openPersist(storage: StorageAdapter, key: string): Promise<Writer | null> {
  const writer = await storage.openWriter(key, PERSIST)
  if (writer.transaction === 'persist') return writer
  await writer.rollback()
  return null
}

/** The text that the chunks make up. */
export async function join(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of chunks) text += decoder.decode(chunk, { stream: true })
  return text + decoder.decode()
}

/** Reads what is stored, and holds `head` and `openReader` to the same version; null if absent. */
export async function load(storage: StorageAdapter, key: string): Promise<string | null> {
  const info = await storage.head(key)
  const reader = await storage.openReader(key)
  if (reader === null) {
    equal(info, null, 'head of a resource without a reader')
    return null
  }
  await reader.close()
  equal(info, reader.info, 'head beside the info of a reader')
  return loadBytes(storage, key)
}

/** Reads what is stored while a write in place leaves it without a lasting etag. */
export async function loadBytes(storage: StorageAdapter, key: string): Promise<string | null> {
  const reader = await storage.openReader(key)
  try {
    return reader && (await join(reader.read(0, reader.info.size)))
  } finally {
    await reader?.close()
  }
}

/** Holds `found` to `expected`, as JSON shows them. */
export function equal(found: unknown, expected: unknown, what: string): void {
  const is = JSON.stringify(found)
  const should = JSON.stringify(expected)
  if (is !== should) throw new Error(`${what} is ${is} and should be ${should}`)
}

/** Holds two values apart. */
export function differ(found: unknown, other: unknown, what: string): void {
  const is = JSON.stringify(found)
  if (is === JSON.stringify(other)) throw new Error(`${what} is ${is} and should be another`)
}

/** Awaits an error and returns its code; null if it has none. */
export async function rejection(work: Promise<unknown>, what: string): Promise<string | null> {
  try {
    await work
  } catch (error) {
    return codeOf(error)
  }
  throw new Error(`${what} resolves and should reject`)
}

/** The code of what was thrown, which has to be an Error; null if it has none. */
export function codeOf(error: unknown): string | null {
  if (!(error instanceof Error)) throw new Error('what is thrown is no Error')
  return 'code' in error && typeof error.code === 'string' ? error.code : null
}
