/**
 * The client for Node, published as `partial-upload/client/node`. It works over `node:http`, and
 * also sends files of any size by path or handle.
 */
import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import type { ByteSource, OpenSource } from './source/byte-source.ts'
import type { Start } from './file-upload.ts'
import { startUploads, type UploadAllOptions, type Uploads } from './many.ts'
import type { RequestOptions, UploadOptions } from './options.ts'
import {
  createPatch,
  partOf,
  PATCH,
  type Part,
  type PatchOptions,
  type PatchRange,
} from './patch.ts'
import { createRemoval, REMOVE, type RemoveOptions } from './remove.ts'
import { getStatus, type ResourceStatus } from './resource.ts'
import { openHandle, openPath } from './source/node.ts'
import { sourceOpener, type Source } from './source/source.ts'
import { nodeTransport, type Agent } from './transport/node.ts'
import type { Platform } from './transport/transport.ts'
import { startUpload, type Upload } from './upload.ts'
import { withRetries } from './with-retries.ts'

export { ClientError } from './error.ts'
export type * from './index.ts'
export type * from './upload-all.ts'
export type { Agent } from './transport/node.ts'

/**
 * A source of bytes: those of the browser's client, and a file by its path (a string), its `file:`
 * URL or an open handle. A file is read while it is sent, and not held in memory.
 */
export type NodeSource = Source | string | URL | FileHandle

/** Bytes and their position in the resource. */
export interface NodePatchRange {
  /** Position of the first byte, counted from 0, at most the size of the resource. */
  readonly start: number
  /**
   * The bytes. A string is the path of a file, and stands for its content like a `file:` URL and a
   * handle. The bytes may reach beyond the end of the resource, which then grows.
   */
  readonly data: PatchRange['data'] | string | URL | FileHandle
}

/** Options that exist in Node only. */
export interface NodeOptions {
  /**
   * Agent of `node:http` or `node:https` that opens the connections, for example through a proxy,
   * with a client certificate, or with a limit on their number.
   *
   * @default the global agent of Node, which keeps connections open
   */
  readonly agent?: Agent
}

/**
 * Uploads a source to a URL, and resumes where an earlier call stopped with the same source and
 * URL. The client closes files that it has opened itself. A file handle of the caller stays open.
 *
 * Returns at once. Failures of the upload, and of opening the file, reject `done`.
 *
 * @throws TypeError for a wrong URL, source or option.
 */
export function upload(
  url: string | URL,
  source: NodeSource,
  options: UploadOptions & NodeOptions = {},
): Upload {
  return startUpload(url, openerOf(source), options, platform(options))
}

/**
 * Uploads files, four at a time unless `concurrency` is set. Each is uploaded as by `upload`.
 *
 * @throws TypeError for a wrong option, and for a URL that can't be built, for example because a
 * stream has no name.
 */
export function uploadAll<F extends NodeSource>(
  files: ArrayLike<F> | Iterable<F>,
  { agent, ...options }: UploadAllOptions<F> & NodeOptions,
): Uploads<F> {
  const start: Start<F> = (url, file, own) => upload(url, file, agent ? { ...own, agent } : own)
  return startUploads(files, options, start, nameOf)
}

/**
 * Writes ranges into an existing resource. The server applies all of them or none. Resolves with
 * the server's answer. If that was lost, resolves with the answer to the `HEAD` that found the
 * patch applied.
 *
 * @throws TypeError for a wrong URL or option, and without ranges and without `length`.
 * @throws ClientError for a refusal, for a failure after all `retries`, and for a file that can't
 * be read.
 */
export async function patch(
  url: string | URL,
  ranges: readonly NodePatchRange[],
  options: PatchOptions & NodeOptions = {},
): Promise<Response> {
  const opened: ByteSource[] = []
  try {
    const parts: Part[] = []
    for (const { start, data } of ranges) {
      if (data instanceof Blob || data instanceof Uint8Array) parts.push(partOf({ start, data }))
      else {
        const source = await openFile(data)
        opened.push(source)
        parts.push({ start, data: await source.slice(0, source.size ?? 0), source })
      }
    }
    return await withRetries(url, options, platform(options), createPatch(parts, options), PATCH)
  } finally {
    for (const source of opened) await source.close?.()
  }
}

/**
 * Asks for the state of a resource with `HEAD`: its size, whether it is complete, its type and its
 * entity tag. Resolves with null if it does not exist.
 *
 * @throws TypeError for a wrong URL or option.
 * @throws ClientError for a refusal, and for a failure after all `retries`.
 */
export async function status(
  url: string | URL,
  options: RequestOptions & NodeOptions = {},
): Promise<ResourceStatus | null> {
  return withRetries(url, options, platform(options), getStatus)
}

/**
 * Removes a resource, finished or not. Resolves with whether it existed. If the answer is lost and
 * the request is repeated, this is false, because the first request has removed the resource.
 *
 * @throws TypeError for a wrong URL or option.
 * @throws ClientError for a refusal, and for a failure after all `retries`.
 */
export async function remove(
  url: string | URL,
  options: RemoveOptions & NodeOptions = {},
): Promise<boolean> {
  return withRetries(url, options, platform(options), createRemoval(options), REMOVE)
}

/** The functions of Node that the client uses in place of those of a browser. */
function platform({ agent }: NodeOptions): Platform {
  return {
    transport: nodeTransport(agent),
    createHash: () => createHash('sha256'),
  }
}

/** Returns the function that opens a source. A file is opened only when the upload begins. */
function openerOf(source: NodeSource): OpenSource {
  const isFile = typeof source === 'string' || source instanceof URL || isFileHandle(source)
  return isFile ? async () => openFile(source) : sourceOpener(source)
}

async function openFile(file: string | URL | FileHandle): Promise<ByteSource> {
  return typeof file === 'string' || file instanceof URL ? openPath(file) : openHandle(file)
}

/**
 * Returns the name of a file, which becomes the last segment of its URL.
 *
 * @throws TypeError for bytes, streams and handles, which have no name.
 */
function nameOf(source: NodeSource): string {
  if (source instanceof Blob && 'name' in source) return String(source.name)
  if (typeof source === 'string') return path.basename(source)
  if (source instanceof URL) return path.basename(fileURLToPath(source))
  throw new TypeError('a source without a name needs a function as `url`')
}

/** Whether a source is a `FileHandle`. Node does not export its class for `instanceof`. */
function isFileHandle(source: Source | FileHandle): source is FileHandle {
  return typeof source === 'object' && 'fd' in source && 'stat' in source
}
