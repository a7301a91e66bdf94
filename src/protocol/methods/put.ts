/**
 * Answers PUT (RFC 9110 §9.3.4). Without `Content-Range` it replaces the whole resource: the new
 * bytes are staged, and replace the old ones when all of them have arrived. With `Content-Range`
 * (§14.5) it is applied as a patch.
 */
import { hasEffect } from '../../errors.ts'
import { readContentDisposition } from '../../fields/content-disposition.ts'
import { parseDigest, type Digest } from '../../fields/digest.ts'
import { finishWrite, type Outcome } from '../completion.ts'
import { createRunningDigest } from '../hashing.ts'
import type { Body, HandlerRequest, HandlerResponse } from '../http.ts'
import { PutContentParser } from '../../media/put-content.ts'
import { checkWriteConditions } from '../preconditions.ts'
import { inSlices } from '../yielding.ts'
import type { ResourceState, Writer } from '../../storage/adapter.ts'
import { newState, replacedState } from '../resource-state.ts'
import { applyPatch } from './apply-patch.ts'
import { readContent, readContentHeader, type Content, type ContentHeader } from './content.ts'
import {
  callOnCreate,
  precheckConditions,
  recheckOnConflict,
  withLock,
  type MethodContext,
} from './context.ts'
import { contentLimit, readPutFields } from './put-fields.ts'
import { withReprDigest } from './repr-digest.ts'
import { appliedTransaction, writeResponse } from './respond.ts'
import { checkTrailer } from './trailers.ts'

/**
 * Answers a PUT: 201 for a new resource, 204 for a replaced one, 202 if a partial PUT leaves it
 * incomplete. The options of the app may set other statuses.
 */
export async function put(
  request: HandlerRequest,
  context: MethodContext,
): Promise<HandlerResponse> {
  const { settings } = context
  const { headers, contentLength } = request
  const header = readContentHeader(
    request,
    () => readPutFields(request),
    ({ range }) => contentLimit(range, settings),
  )
  const { contentType, range, isResumable } = header.type
  const contentDisposition = readContentDisposition(headers.all('content-disposition'))
  if (range === null) {
    const description = { contentType, contentDisposition, isResumable }
    return putWhole(request, { ...header, type: description }, context)
  }
  const parser = new PutContentParser(
    {
      index: null,
      target: range,
      contentType,
      contentDisposition,
      contentDigest: null,
      reprDigest: null,
    },
    contentLength,
    settings.maxSize,
  )
  const format = { parser, isAtomic: false, fillsGaps: false }
  return applyPatch(request, { ...header, type: format }, context)
}

/** The fields of a PUT that describe the resource. */
interface Description {
  readonly contentType: string | null
  readonly contentDisposition: string | null
  /** See `PutFields.isResumable`. */
  readonly isResumable: boolean
}

/** Answers a PUT of the whole resource. */
async function putWhole(
  request: HandlerRequest,
  header: ContentHeader<Description>,
  context: MethodContext,
): Promise<HandlerResponse> {
  const { key, owner, contentLength: length } = request
  const { settings } = context
  const { type, digests, announcesDigest, reprDigest, preferred } = header
  const { contentType, contentDisposition, isResumable } = type
  await precheckConditions(request, context)

  // A client that sends `Content-Range` resumes by itself. For any other one the app has to allow
  // that an interrupted PUT leaves an incomplete resource, because the client may never come back.
  const isKept = isResumable || settings.put === 'persist'
  const wanted = preferred ?? (isKept ? 'persist' : 'atomic')
  // A digest covers all of the content, so that an interrupted PUT can't be verified, and must not
  // be kept.
  const transaction = digests.length > 0 || announcesDigest ? 'atomic' : wanted
  const content = await readContent(request, {
    length,
    limit: contentLimit(null, settings),
    isAtomic: transaction === 'atomic',
    digests,
    verifiesTrailer: announcesDigest,
  })
  const initial = newState({
    completeLength: length,
    contentType,
    contentDisposition,
    reprDigest,
    owner,
  })

  // An existing resource is replaced atomically whatever `transaction` is: its readers keep the old
  // version until the commit, and an interrupted PUT leaves it as it was.
  const written = withLock(request, context, settings.lockTimeout, async (isLost) => {
    const options = { transaction, replace: true, initial, isLost } as const
    const writer = await context.storage.openWriter(key, options)
    const outcome = await replace(content, initial, writer, isLost, request, context)
    const applied = appliedTransaction(preferred, writer.transaction)
    return { response: writeResponse(outcome, settings, applied), info: outcome.info }
  })
  const recheck = (): Promise<void> => precheckConditions(request, context)
  const { response, info } = await recheckOnConflict(written, recheck)
  return withReprDigest(response, info, request, context)
}

/**
 * Writes the content under the lock, and commits it. After an error the writer keeps what its
 * transaction allows.
 */
async function replace(
  { body, verifiesTrailer }: Content,
  initial: ResourceState,
  writer: Writer,
  isLost: () => boolean,
  request: HandlerRequest,
  context: MethodContext,
): Promise<Outcome> {
  try {
    checkWriteConditions(request.headers, writer.base)
    // Call the hook before the first byte is stored, so that a creation that the app refuses leaves
    // nothing.
    await callOnCreate(writer, initial, request)
    const { size, digests } = await receive(body, writer, initial.reprDigest)
    const reprDigest = await checkTrailer(request.trailers, writer, {
      readBack: verifiesTrailer ? null : () => writer.read(0, size),
      reprDigests: [initial.reprDigest],
    })
    const write = {
      key: request.key,
      writer,
      state: replacedState(initial, size, reprDigest),
      size,
      changed: true,
      // They were computed by the algorithms that the header names. If the trailer names another
      // one, `finishWrite` reads the content back and computes them again.
      digests: reprDigest === initial.reprDigest ? digests : null,
    }
    return await finishWrite(write, { hooks: request.hooks, isLost, ...context })
  } catch (error) {
    if (hasEffect(error, 'undo')) await writer.rollback()
    await writer.keep()
    throw error
  }
}

/** What was received. */
interface Received {
  /** Length of the content in bytes. */
  readonly size: number
  /** The digests of the content, by the algorithms of `Repr-Digest`; null without that field. */
  readonly digests: readonly Digest[] | null
}

/**
 * Writes the content, and hashes it while it arrives if a `Repr-Digest` has to be verified. Hashing
 * it afterwards would read it a second time, and would lose an atomic write if the server were too
 * busy for that (`ERR_BUSY`).
 */
async function receive(body: Body, writer: Writer, reprDigest: string | null): Promise<Received> {
  const running =
    reprDigest === null
      ? null
      : createRunningDigest(parseDigest(reprDigest).map(({ algorithm }) => algorithm))
  let size = 0
  for await (const batch of body) {
    await writer.write(size, batch)
    for (const chunk of batch) size += chunk.byteLength
    if (running !== null) await inSlices(batch, (slice) => running.update(slice))
  }
  return { size, digests: running?.digest() ?? null }
}
