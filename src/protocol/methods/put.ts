/** PUT (RFC 9110 §9.3.4): the whole resource in one request, resumable with PATCH if it was new. */
import { UploadError, hasEffect } from '../../errors.ts'
import { readContentDisposition } from '../../fields/content-disposition.ts'
import { isServable, parseMediaType } from '../../fields/content-type.ts'
import { parseDigest, type Digest } from '../../fields/digest.ts'
import { finishWrite, type Outcome } from '../completion.ts'
import { createRunningDigest } from '../hashing.ts'
import type { Body, HandlerRequest, HandlerResponse, RequestHeaders } from '../http.ts'
import type { Lock } from '../../storage/lock.ts'
import { ACCEPT_PATCH, PATCH_MEDIA_TYPES } from '../../media/parse.ts'
import { checkWriteConditions } from '../preconditions.ts'
import { inSlices } from '../yielding.ts'
import type { ResourceState, Writer } from '../../storage/adapter.ts'
import { newState, replacedState } from '../resource-state.ts'
import { readContent, readContentHeader, type Content } from './content.ts'
import {
  callOnCreate,
  precheckConditions,
  rejudging,
  whileIdle,
  withLock,
  type MethodContext,
} from './context.ts'
import { withReprDigest } from './repr-digest.ts'
import { appliedTransaction, writeResponse } from './respond.ts'
import { checkTrailer } from './trailers.ts'

/** Answers a PUT. */
export async function put(
  request: HandlerRequest,
  context: MethodContext,
): Promise<HandlerResponse> {
  const { headers, key, contentLength: length } = request
  const { settings } = context

  const limit = Math.min(settings.maxSize, settings.maxContentLength)
  const header = readContentHeader(request, limit, () => resourceType(headers))
  const { type: contentType, digests, announcesDigest, reprDigest, preferred } = header
  const contentDisposition = readContentDisposition(headers.all('content-disposition'))
  await precheckConditions(request, context)

  const wanted = preferred ?? (settings.put === 'persist' ? 'persist' : 'atomic')
  const transaction = digests.length > 0 || announcesDigest ? 'atomic' : wanted
  const bufferSize = transaction === 'atomic' ? settings.bufferSize : 0
  const content = await readContent(request, {
    length,
    limit,
    bufferSize,
    digests,
    verifiesTrailer: announcesDigest,
  })

  const written = withLock(request, context, settings.stallTimeout, async (lock) => {
    const initial = newState({
      completeLength: length,
      contentType,
      contentDisposition,
      reprDigest,
      owner: request.owner,
    })
    const writer = await context.storage.openWriter(key, {
      transaction,
      replace: true,
      initial,
      isLost: () => lock.isLost === true,
    })
    const outcome = await replace(content, initial, writer, lock, request, context)
    const applied = appliedTransaction(preferred, writer.transaction)
    return { response: writeResponse(outcome, settings, applied), info: outcome.info }
  })
  const judge = (): Promise<void> => precheckConditions(request, context)
  const { response, info } = await rejudging(written, judge)
  return withReprDigest(response, info, request, context)
}

/**
 * The media type of the resource; null if the client names none. A patch format here is almost
 * certainly a PATCH with the wrong method.
 */
function resourceType(headers: RequestHeaders): string | null {
  checkNoContentRange(headers)
  const [value, ...more] = headers.all('content-type')
  if (value === undefined) return null
  if (more.some((other) => other !== value)) {
    throw new UploadError('ERR_FIELD', {
      detail: 'expected one Content-Type, found different ones',
    })
  }
  const mediaType = parseMediaType(value)
  if (mediaType === null || !isServable(value)) {
    throw new UploadError('ERR_FIELD', {
      detail: 'expected a media type in Content-Type, in ASCII and of at most 255 bytes',
    })
  }
  if (PATCH_MEDIA_TYPES.includes(mediaType.type)) {
    throw new UploadError('ERR_MEDIA_TYPE', {
      detail: `${mediaType.type} is a patch format: send it with PATCH`,
      headers: { 'Accept-Patch': ACCEPT_PATCH },
    })
  }
  return value.trim()
}

/** RFC 9110 §14.5: a server that took the part for the whole would destroy the rest. */
function checkNoContentRange(headers: RequestHeaders): void {
  if (headers.get('content-range') === null) return
  throw new UploadError('ERR_FIELD', { detail: 'PUT with Content-Range: send a range with PATCH' })
}

/** Writes the content, and ends the writer in any case. */
async function replace(
  { body, verifiesTrailer }: Content,
  initial: ResourceState,
  writer: Writer,
  lock: Lock,
  request: HandlerRequest,
  context: MethodContext,
): Promise<Outcome> {
  try {
    checkWriteConditions(request.headers, writer.base)
    await callOnCreate(writer, initial, request)
    const { size, digests } = await receive(body, writer, lock, initial.reprDigest)
    const reprDigest = await checkTrailer(request.trailers, writer, {
      readBack: verifiesTrailer ? null : () => writer.read(0, size),
      reprDigest: initial.reprDigest,
    })
    const write = {
      key: request.key,
      writer,
      state: replacedState(initial, size, reprDigest),
      size,
      changed: true,
      digests: reprDigest === initial.reprDigest ? digests : null,
    }
    const isLost = (): boolean => lock.isLost === true
    return await finishWrite(write, { ...context, hooks: request.hooks, isLost })
  } catch (error) {
    if (hasEffect(error, 'undo')) await writer.rollback()
    await writer.keep()
    throw error
  }
}

interface Received {
  readonly size: number
  /** The digests that `Repr-Digest` announced; null if it announced none. */
  readonly digests: readonly Digest[] | null
}

/**
 * Writes the content, and hashes it on the way: afterwards it would have to be read again, and an atomic
 * write would be lost if the server were too busy for that.
 */
async function receive(
  body: Body,
  writer: Writer,
  lock: Lock,
  reprDigest: string | null,
): Promise<Received> {
  const running =
    reprDigest === null
      ? null
      : createRunningDigest(parseDigest(reprDigest).map(({ algorithm }) => algorithm))
  let size = 0
  const batches = body[Symbol.asyncIterator]()
  try {
    for (;;) {
      const step = await whileIdle(lock, () => batches.next())
      if (step.done === true) return { size, digests: running?.digest() ?? null }
      await writer.write(size, step.value)
      for (const chunk of step.value) size += chunk.byteLength
      if (running !== null) await inSlices(step.value, (slice) => running.update(slice))
    }
  } finally {
    await batches.return?.()
  }
}
