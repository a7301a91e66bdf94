/**
 * Helpers of the checks. The checks need no test runner and no `node:` module, because authors of
 * adapters run them in their own tests: a failure is an error whose message says what was found and
 * what was expected.
 */

import type {
  OpenWriterOptions,
  Reader,
  ResourceInfo,
  ResourceState,
  StorageAdapter,
  Writer,
} from '../adapter.ts'

/** One requirement of the storage interface. */
export interface StorageCheck {
  /** What a right adapter does, as a sentence without its subject: the title of a test. */
  readonly name: string
  /**
   * Checks the storage that `create` returns, which must be empty. Calls `create` once.
   *
   * @throws Error whose message says what was found and what was expected.
   */
  readonly run: (create: () => StorageAdapter | Promise<StorageAdapter>) => Promise<void>
}

/** Makes a check. An error that the adapter throws fails it, with a message that says so. */
export function check(
  name: string,
  body: (storage: StorageAdapter) => Promise<void>,
): StorageCheck {
  return {
    name,
    async run(create) {
      const storage = await create()
      try {
        await body(storage)
      } catch (error) {
        if (error instanceof ContractError) throw error
        const message = error instanceof Error ? error.message : String(error)
        throw new ContractError(`found an error, "${message}", expected none`, { cause: error })
      }
    },
  }
}

/** Thrown by a check, to say what was found and expected. Other errors are the adapter's. */
export class ContractError extends Error {
  override readonly name = 'ContractError'
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

/** A state in which all members differ, so that an adapter which confuses two of them fails. */
export const FULL: ResourceState = {
  complete: false,
  everComplete: true,
  completeLength: 4_294_967_303,
  contentType: 'text/plain; charset="ü"',
  contentDisposition: "attachment; filename*=UTF-8''na%C3%AFve.txt",
  reprDigest: 'sha-256=:AAAA:, sha-512=:BBBB:',
  owner: 'Zoë',
}

/** The state of a finished resource. */
export const FINISHED: ResourceState = { ...BEGUN, complete: true, everComplete: true }

/** Options for a writer of an upload in progress. */
export const PERSIST: OpenWriterOptions = {
  transaction: 'persist',
  replace: false,
  initial: BEGUN,
}

/** Options for a writer that shows nothing before its commit. */
export const ATOMIC: OpenWriterOptions = { ...PERSIST, transaction: 'atomic' }

/** Options for a writer that replaces the resource. */
export const REPLACE: OpenWriterOptions = { ...ATOMIC, replace: true }

/** Encodes `text`. Most checks write text, because a message can quote it. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Writes `text` in one chunk. */
export function write(writer: Writer, position: number, text: string): Promise<void> {
  return writer.write(position, [bytes(text)])
}

/** Waits until readers see the bytes of a persist write. */
export async function flush(writer: Writer): Promise<void> {
  await writer.flush?.()
}

/** Stores a finished resource. */
export async function store(storage: StorageAdapter, key: string, text: string): Promise<void> {
  const writer = await storage.openWriter(key, REPLACE)
  await write(writer, 0, text)
  await writer.commit({ ...FINISHED, completeLength: text.length })
}

/** Stores an upload in progress. */
export async function begin(storage: StorageAdapter, key: string, text: string): Promise<void> {
  const writer = await storage.openWriter(key, PERSIST)
  await write(writer, 0, text)
  await writer.commit(BEGUN)
}

/** Opens a reader. Fails the check if the resource is absent. */
export async function openReader(storage: StorageAdapter, key: string): Promise<Reader> {
  const reader = await storage.openReader(key)
  if (reader === null)
    throw new ContractError(`openReader of ${key}: found null, expected a reader`)
  return reader
}

/**
 * Returns the state in an info. Members that the adapter must not add are kept, so that they show
 * in a comparison.
 */
export function stateOf(info: ResourceInfo | null): ResourceState | null {
  if (info === null) return null
  const { size: _size, etag: _etag, lastModified: _lastModified, ...state } = info
  return state
}

/**
 * Opens a persist writer. Returns null if the storage grants atomic writes only, in which case
 * there is nothing to check.
 */
export async function openPersist(storage: StorageAdapter, key: string): Promise<Writer | null> {
  const writer = await storage.openWriter(key, PERSIST)
  if (writer.transaction === 'persist') return writer
  await writer.rollback()
  return null
}

/**
 * Concatenates the chunks. No chunk is copied before the last one has arrived: an adapter that
 * reuses the buffer of a chunk then returns wrong bytes.
 */
export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const kept: Uint8Array[] = []
  for await (const chunk of chunks) kept.push(chunk)
  return concat(kept)
}

/** Concatenates the chunks and decodes them. */
export async function join(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  return new TextDecoder().decode(await collect(chunks))
}

/** Concatenates arrays. */
export function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}

/**
 * Makes bytes in which no two aligned words of four are the same, so that a wrong position shows.
 */
export function pattern(length: number, seed = 0): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4))
  // Multiplication by an odd number maps different words to different words, and fills all four
  // bytes.
  for (let index = 0; index < words.length; index += 1) {
    words[index] = Math.imul(index + seed, 2_654_435_761)
  }
  return new Uint8Array(words.buffer, 0, length)
}

/** Reads the content, null if absent. Checks that `head` and `openReader` return the same info. */
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

/**
 * Reads the content without `head`, whose etag may change with each call during a write in place.
 */
export async function loadBytes(storage: StorageAdapter, key: string): Promise<string | null> {
  const reader = await storage.openReader(key)
  try {
    return reader && (await join(reader.read(0, reader.info.size)))
  } finally {
    await reader?.close()
  }
}

/** Formats a value as JSON, with the members of objects in alphabetical order. */
export function toText(value: unknown): string {
  if (value === undefined) return 'undefined'
  return JSON.stringify(value, (_name, member: unknown) => {
    if (!(member instanceof Object) || Array.isArray(member)) return member
    return Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}

/** Fails the check unless two values have the same JSON. */
export function equal(found: unknown, expected: unknown, what: string): void {
  if (typeof found === 'string' && typeof expected === 'string') {
    sameBytes(bytes(found), bytes(expected), what)
    return
  }
  const is = toText(found)
  const should = toText(expected)
  if (is !== should) throw new ContractError(`${what}: found ${is}, expected ${should}`)
}

/** Fails the check unless the bytes are the same. The message quotes the first difference. */
export function sameBytes(found: Uint8Array, expected: Uint8Array, what: string): void {
  let first = 0
  while (first < expected.length && found[first] === expected[first]) first += 1
  if (first === expected.length && found.length === expected.length) return
  throw new ContractError(
    `${what}: found ${found.length} bytes, expected ${expected.length}; ` +
      `from byte ${first} on, found ${show(found, first)}, expected ${show(expected, first)}`,
  )
}

/** Formats a few bytes from `start` on: as text if they are printable, otherwise in hexadecimal. */
function show(all: Uint8Array, start: number): string {
  const some = all.subarray(start, start + 16)
  if (some.length === 0) return 'the end'
  if (some.every((byte) => byte >= 0x20 && byte < 0x7f)) {
    return JSON.stringify(new TextDecoder().decode(some))
  }
  return Array.from(some, (byte) => byte.toString(16).padStart(2, '0')).join(' ')
}

/** Fails the check if two values have the same JSON. */
export function differ(found: unknown, other: unknown, what: string): void {
  const is = toText(found)
  if (is === toText(other))
    throw new ContractError(`${what}: found ${is} again, expected another value`)
}

/** Awaits a rejection and returns the code of the error; null if it has none. */
export async function rejection(work: Promise<unknown>, what: string): Promise<string | null> {
  try {
    await work
  } catch (error) {
    return codeOf(error)
  }
  throw new ContractError(`${what}: it resolved, expected it to reject`)
}

/** Fails the check unless the work rejects because another writer has changed the resource. */
export async function expectConflict(work: Promise<unknown>, what: string): Promise<void> {
  const code = await rejection(work, what)
  if (code !== 'ERR_INTERRUPTED') equal(code, 'ERR_CONFLICT', `the code of ${what}`)
}

/** Returns the code of an error; null if it has none. Fails the check for any other value. */
export function codeOf(error: unknown): string | null {
  if (!(error instanceof Error))
    throw new ContractError(`found ${JSON.stringify(error)} thrown, expected an Error`)
  return 'code' in error && typeof error.code === 'string' ? error.code : null
}

/** Changes the resource `a`: one write, and a commit to `state`. */
export async function change(
  storage: StorageAdapter,
  options: OpenWriterOptions,
  position: number,
  text: string,
  state: ResourceState,
): Promise<void> {
  const writer = await storage.openWriter('a', options)
  await write(writer, position, text)
  await writer.commit(state)
}
