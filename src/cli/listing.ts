/** Fetches the list of the files on a server, and chooses those that a command is about. */
import { createHash } from 'node:crypto'

import { ClientError } from '../client/error.ts'
import { fieldsFor } from '../client/transport/redirect.ts'

import type { Listed } from './arguments.ts'
import type { Destination, Version } from './destination.ts'
import { download } from './download.ts'
import { below } from './files.ts'
import { isChosen, type Filter } from './filter.ts'
import type { Target } from './target-options.ts'

/** Largest size of a list in bytes. It is held in memory, so that it must have a limit. */
const MAX_LIST = 64 * 1024 * 1024

/** A file on the server. */
export interface RemoteFile {
  /** Path below the base of the list, not percent-encoded. */
  readonly key: string
  /** Path below the URL of the command. */
  readonly path: string
  readonly url: string
  /** Number of stored bytes. */
  readonly size: number
  /** Number of bytes of the finished file; null if it is unknown. */
  readonly length: number | null
  readonly complete: boolean
  /** Time of the last change in the format of ISO 8601; null if the server does not send it. */
  readonly modified: string | null
}

/**
 * Returns the files below the URL of the command that its patterns choose, in the order of their
 * paths.
 *
 * @throws Error if the server has no list, or if its answer is not one.
 */
export async function listFiles(
  command: Target & Listed & Filter,
  signal: AbortSignal,
): Promise<readonly RemoteFile[]> {
  const { url, base } = command
  const content = await fetchList(command, signal)
  const prefix = decode(url.pathname.slice(base.pathname.length)).replace(/\/$/, '')
  return (
    content
      .flatMap((entry) => toFile(entry, base, prefix) ?? [])
      .filter(({ path }) => isChosen(command, path))
      // The server's order may be that of the changes, which is different at the next call.
      .toSorted((a, b) => (a.key < b.key ? -1 : 1))
  )
}

/** Decodes a path. One that is not percent-encoded correctly can only be compared as it is. */
function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/** Fetches the list, and parses it as JSON. */
async function fetchList(
  { url, list, headers, retries, timeout, wait }: Target & Listed,
  signal: AbortSignal,
): Promise<readonly unknown[]> {
  // `exchange` of the client keeps only the first MiB of an answer. A download has no such limit,
  // and brings retries, redirections and the refusal of login pages along.
  const destination = new Memory()
  try {
    await download({
      url: list,
      // `--list` may name another server, for which the credentials were not issued.
      headers: Object.fromEntries(fieldsFor(url, list, new Headers(headers))),
      ...{ retries, timeout, wait, signal, destination },
      pace: null,
      onProgress: () => undefined,
      onWait: () => undefined,
    })
  } catch (error) {
    if (!(error instanceof ClientError) || error.status !== 404) throw error
    throw new Error(`the server has no list at ${list.href}; --list names another URL`, {
      cause: error,
    })
  }
  const content = parse(destination.text())
  if (content !== null) return content
  throw new Error(`the answer of ${list.href} is not a list of files; --list names another URL`)
}

/** Parses a JSON array; null for every other text. */
function parse(text: string): readonly unknown[] | null {
  try {
    const content: unknown = JSON.parse(text)
    return Array.isArray(content) ? content : null
  } catch {
    return null
  }
}

/**
 * Reads an entry of the list; null if it is not below the prefix or has no name. Only a name and a
 * size are needed, because each app has its own list.
 */
function toFile(entry: unknown, base: URL, prefix: string): RemoteFile | null {
  if (!(entry instanceof Object)) return null
  const read = (name: string): unknown => Reflect.get(entry, name)
  const [key, size, length, modified] = [
    read('key') ?? read('name'),
    read('size'),
    read('length'),
    read('modified'),
  ]
  if (typeof key !== 'string' || typeof size !== 'number') return null
  // A prefix ends at a slash: `photos` is not the folder of `photos-old/a.jpg`.
  const isBelow = prefix === '' || key === prefix || key.startsWith(`${prefix}/`)
  if (!isBelow) return null
  return {
    key,
    path:
      key === prefix
        ? (key.split('/').at(-1) ?? key)
        : key.slice(prefix === '' ? 0 : prefix.length + 1),
    url: below(base, key),
    size,
    length: typeof length === 'number' ? length : null,
    // The list of an app may lack the member, for example if it comes from a table of finished
    // files.
    complete: read('complete') !== false,
    modified: typeof modified === 'string' ? modified : null,
  }
}

/** A download into memory. */
class Memory implements Destination {
  readonly #chunks: Uint8Array[] = []
  /** Always null, so that a broken list is fetched anew from its first byte. */
  readonly version: Version | null = null
  position = 0

  /** Discards the bytes so far. They are never continued, because a list can change at any time. */
  async begin(): Promise<void> {
    this.#chunks.length = 0
    this.position = 0
  }

  /** Does nothing, because a download without a version is never continued. */
  rewind(): void {}

  /** Keeps the bytes. */
  async write(bytes: Uint8Array): Promise<void> {
    // The chunks of `fetch` are not reused, so that they need not be copied.
    this.#chunks.push(bytes)
    this.position += bytes.byteLength
    if (this.position > MAX_LIST) throw new Error(`the list is longer than ${MAX_LIST} bytes`)
  }

  /** Returns the SHA-256 of the bytes, as `sha-256=:…:`. */
  async digest(): Promise<string> {
    const hash = createHash('sha256')
    for (const chunk of this.#chunks) hash.update(chunk)
    return `sha-256=:${hash.digest('base64')}:`
  }

  /** Discards the bytes. */
  async discard(): Promise<void> {
    await this.begin()
  }

  /** Returns the bytes as text. */
  text(): string {
    return Buffer.concat(this.#chunks).toString()
  }
}
