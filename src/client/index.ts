/**
 * The client for browsers and every other platform with `fetch`, published as
 * `partial-upload/client`.
 *
 * `partial-upload/client/node` has the same functions over `node:http`, and can also send files by
 * path.
 */
import type { RequestOptions, UploadOptions } from './options.ts'
import { createPatch, partOf, PATCH, type PatchOptions, type PatchRange } from './patch.ts'
import { createRemoval, REMOVE, type RemoveOptions } from './remove.ts'
import { getStatus, type ResourceStatus } from './resource.ts'
import { createSha256 } from './sha256.ts'
import { scope } from './scope.ts'
import { sourceOpener, type Source } from './source/source.ts'
import { fetchTransport } from './transport/fetch.ts'
import { xhrTransport } from './transport/xhr.ts'
import type { Platform } from './transport/transport.ts'
import { startUpload, type Upload } from './upload.ts'
import { withRetries } from './with-retries.ts'

export { ClientError, type ClientErrorCode, type Problem } from './error.ts'
export type {
  HeaderSource,
  OutgoingRequest,
  Progress,
  RequestOptions,
  UploadOptions,
  UploadStatus,
} from './options.ts'
export type { PatchOptions, PatchRange } from './patch.ts'
export type { RemoveOptions } from './remove.ts'
export type { ResourceStatus } from './resource.ts'
export type { Source } from './source/source.ts'
export type { Credentials } from './transport/transport.ts'
export type { Upload } from './upload.ts'

// XMLHttpRequest reports upload progress, which `fetch` does not. Service workers don't have it.
const hasXhr = 'XMLHttpRequest' in scope

const PLATFORM: Platform = {
  transport: hasXhr ? xhrTransport : fetchTransport,
  answersLate: hasXhr,
  createHash: createSha256,
}

/**
 * Uploads a source to a URL, and resumes where an earlier call stopped. The state is held by the
 * server, so that after a reload, or on another machine, a call with the same source and URL
 * resumes the upload.
 *
 * Returns at once. Failures of the upload reject `done`.
 *
 * @throws TypeError for a wrong URL, source or option.
 */
export function upload(url: string | URL, source: Source, options: UploadOptions = {}): Upload {
  return startUpload(url, sourceOpener(source), options, PLATFORM)
}

/**
 * Writes ranges into an existing resource. The server applies all of them or none. Resolves with
 * the server's answer. If that was lost, resolves with the answer to the `HEAD` that found the
 * patch applied.
 *
 * @throws TypeError for a wrong URL or option, and without ranges and without `length`.
 * @throws ClientError for a refusal, and for a failure after all `retries`.
 */
export async function patch(
  url: string | URL,
  ranges: readonly PatchRange[],
  options: PatchOptions = {},
): Promise<Response> {
  return withRetries(url, options, PLATFORM, createPatch(ranges.map(partOf), options), PATCH)
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
  options: RequestOptions = {},
): Promise<ResourceStatus | null> {
  return withRetries(url, options, PLATFORM, getStatus)
}

/**
 * Removes a resource, finished or not. Resolves with whether it existed. If the answer is lost and
 * the request is repeated, this is false, because the first request has removed the resource.
 *
 * @throws TypeError for a wrong URL or option.
 * @throws ClientError for a refusal, and for a failure after all `retries`.
 */
export async function remove(url: string | URL, options: RemoveOptions = {}): Promise<boolean> {
  return withRetries(url, options, PLATFORM, createRemoval(options), REMOVE)
}
