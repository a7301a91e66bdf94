/** The client for Node: over `node:http`, and for files of any size by path or handle. */
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

/** The sources of the browser's client, and files by path, file URL or handle, read as they are sent. */
export type NodeSource = Source | string | URL | FileHandle

/** Bytes and their position in the resource. A path, a file URL or a file handle stands for its file. */
export interface NodePatchRange {
  /** Position of the first byte, at most the size of the resource. */
  readonly start: number
  /** The bytes. They may reach beyond the end of the resource, which then grows. */
  readonly data: PatchRange['data'] | string | URL | FileHandle
}

/** Options that exist in Node only. */
export interface NodeOptions {
  /**
   * Makes the connections. An agent sets proxies, certificates and limits.
   *
   * @default Node's global agent
   */
  readonly agent?: Agent
}

/**
 * Uploads a source to a URL, and resumes where an earlier call stopped with the same source and URL. A
 * file handle stays open.
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
 * Uploads files, several at a time. Each is uploaded as `upload` does it.
 *
 * @throws TypeError for a wrong option, and for a URL that can't be made.
 */
export function uploadAll<F extends NodeSource>(
  files: ArrayLike<F> | Iterable<F>,
  { agent, ...options }: UploadAllOptions<F> & NodeOptions,
): Uploads<F> {
  const start: Start<F> = (url, file, own) => upload(url, file, agent ? { ...own, agent } : own)
  return startUploads(files, options, start, nameOf)
}

/**
 * Writes ranges into an existing resource: all of them or none. Resolves with the server's answer.
 *
 * @throws TypeError for a wrong URL or option, and for no ranges without `length`.
 * @throws ClientError for a refusal, and for a failure after all `retries`.
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
 * Asks for the state of a resource: its size, whether it is complete, its type and its entity tag.
 * Resolves with null if it does not exist.
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
 * Removes a resource, finished or not. Resolves with false if it did not exist, which is also the result
 * of a request that was repeated because its answer was lost.
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

function platform({ agent }: NodeOptions): Platform {
  return {
    transport: nodeTransport(agent),
    createHash: () => createHash('sha256'),
  }
}

function openerOf(source: NodeSource): OpenSource {
  const isFile = typeof source === 'string' || source instanceof URL || isFileHandle(source)
  return isFile ? async () => openFile(source) : sourceOpener(source)
}

async function openFile(file: string | URL | FileHandle): Promise<ByteSource> {
  return typeof file === 'string' || file instanceof URL ? openPath(file) : openHandle(file)
}

/** The name of a file by path or URL. */
function nameOf(source: NodeSource): string {
  if (source instanceof Blob && 'name' in source) return String(source.name)
  if (typeof source === 'string') return path.basename(source)
  if (source instanceof URL) return path.basename(fileURLToPath(source))
  throw new TypeError('a source without a name needs a function as `url`')
}

function isFileHandle(source: Source | FileHandle): source is FileHandle {
  return typeof source === 'object' && 'fd' in source && 'stat' in source
}
