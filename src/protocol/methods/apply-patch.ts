/**
 * Applies a patch, the content of a PATCH or of a partial PUT, from the preconditions to the
 * commit. The functions are in the order of these steps.
 *
 * A patch is written in one of two ways. `persist` appends to the upload, and keeps the bytes so
 * far if the request is interrupted. `atomic` applies the patch completely or not at all, as a
 * document of several parts, a digest of the content or the client's `Prefer` demands.
 */
import { hasEffect } from '../../errors.ts'
import { finishWrite, type Outcome } from '../completion.ts'
import { joinReprDigests } from '../digest-check.ts'
import {
  ConnectionLostError,
  type HandlerRequest,
  type HandlerResponse,
  type RequestHeaders,
} from '../http.ts'
import type { PatchFormat } from '../../media/parse.ts'
import type { Part } from '../../media/part.ts'
import { checkWriteConditions } from '../preconditions.ts'
import type { Limits } from '../../options.ts'
import type { ResourceInfo, ResourceState, Transaction, Writer } from '../../storage/adapter.ts'
import { PatchSession } from '../patch-session.ts'
import { patchLimit, readContent, type ContentHeader } from './content.ts'
import {
  callOnCreate,
  precheckConditions,
  recheckOnConflict,
  withLock,
  type MethodContext,
} from './context.ts'
import { readPatch, type IncomingPatch } from './incoming-patch.ts'
import { newState, patchedState } from '../resource-state.ts'
import { withReprDigest } from './repr-digest.ts'
import { appliedTransaction, writeResponse } from './respond.ts'
import { checkTrailer } from './trailers.ts'

/** A patch whose first part has been read, and how it is applied. */
interface Patch {
  readonly incoming: IncomingPatch
  readonly format: PatchFormat
  readonly transaction: Transaction
  /** The state that the resource has until the patch ends, if the patch creates it. */
  readonly initial: ResourceState
  /** See `Content.verifiesTrailer`. */
  readonly verifiesTrailer: boolean
}

/**
 * Answers a request whose header has been checked, and whose content is a patch.
 *
 * The preconditions are checked before the content is read and again under the lock, because
 * another writer may change the resource between the two.
 */
export async function applyPatch(
  request: HandlerRequest,
  header: ContentHeader<PatchFormat>,
  context: MethodContext,
): Promise<HandlerResponse> {
  const { headers } = request
  const { settings } = context
  const recheck = (): Promise<void> =>
    precheckConditions(request, context, (info) =>
      effectiveConditions(headers, context, info?.complete === false),
    )
  await recheck()

  const patch = await readFirstPart(request, header, settings)
  try {
    // The writer is opened under the lock, so that its base stays the current version until the
    // commit. If A and B both opened a writer at 10 bytes, A committed 5 more, and B then committed
    // 7 from position 10 on, the storage would refuse B, and its client would have sent them in
    // vain.
    const written = withLock(request, context, settings.lockTimeout, async (isLost) => {
      const { transaction, initial } = patch
      const options = { transaction, replace: false, initial, isLost } as const
      const writer = await context.storage.openWriter(request.key, options)
      const outcome = await apply(patch, writer, isLost, request, context)
      const applied = appliedTransaction(header.preferred, writer.transaction)
      return { response: writeResponse(outcome, settings, applied), info: outcome.info }
    })
    const { response, info } = await recheckOnConflict(written, recheck)
    return await withReprDigest(response, info, request, context)
  } finally {
    await patch.incoming.close()
  }
}

/** Reads the content up to the first part, which decides how the writer is opened. */
async function readFirstPart(
  request: HandlerRequest,
  { type: format, digests, announcesDigest, reprDigest, preferred }: ContentHeader<PatchFormat>,
  limits: Limits,
): Promise<Patch> {
  const isAtomic =
    format.isAtomic || digests.length > 0 || announcesDigest || preferred === 'atomic'
  const content = await readContent(request, {
    length: request.contentLength,
    limit: patchLimit(limits),
    isAtomic,
    digests,
    // A digest in the trailer that was not announced is verified by reading the content back from
    // the storage. That is impossible for an atomic format, whose parts may overlap, so its content
    // is always hashed while it arrives.
    verifiesTrailer: format.isAtomic || announcesDigest,
  })
  const incoming = await readPatch(content, format)
  const { first } = incoming
  const initial = newState({
    completeLength: first.target.completeLength,
    contentType: first.contentType,
    contentDisposition: first.contentDisposition,
    reprDigest: joinReprDigests([reprDigest, first.reprDigest]),
    owner: request.owner,
  })
  const transaction = isAtomic || first.contentDigest !== null ? 'atomic' : 'persist'
  return { incoming, format, transaction, initial, verifiesTrailer: content.verifiesTrailer }
}

/**
 * Writes the patch under the lock, and commits it. After an error the writer keeps what its
 * transaction allows.
 */
async function apply(
  { incoming, format, initial, verifiesTrailer }: Patch,
  writer: Writer,
  isLost: () => boolean,
  request: HandlerRequest,
  context: MethodContext,
): Promise<Outcome> {
  try {
    // The version that was checked before the lock may have been replaced since. From here on
    // everything is decided by `writer.base`.
    const continues = isContinuation(incoming.first, writer.base)
    checkWriteConditions(effectiveConditions(request.headers, context, continues), writer.base)
    const session = new PatchSession(writer, {
      rules: context.settings,
      fillsGaps: format.fillsGaps,
      onFit: () => callOnCreate(writer, initial, request),
    })
    await receive(incoming, session, writer)
    // The trailer arrives after the last byte. A persist write has stored all of them by then, so
    // that a wrong digest has to take them back.
    const reprDigest = await checkTrailer(request.trailers, writer, {
      readBack: verifiesTrailer ? null : () => incoming.readBack(writer),
      reprDigests: [initial.reprDigest, session.reprDigest],
    })
    const write = {
      key: request.key,
      writer,
      state: patchedState(writer.base, { reprDigest, owner: initial.owner, ...session.outcome }),
      size: session.progress.size,
      changed: session.changed,
      digests: null,
    }
    const { storage, events, hashing } = context
    const { hooks } = request
    return await finishWrite(write, { storage, events, hashing, hooks, isLost })
  } catch (error) {
    // After a rollback this does nothing. After any other error a persist write keeps what has
    // arrived, from where the client resumes, and an atomic one keeps nothing.
    await writer.keep()
    throw error
  }
}

/**
 * Returns the fields whose conditions are evaluated. The examples of the IETF draft repeat
 * `If-None-Match: *` on every segment, which by RFC 9110 §13.1.2 is false from the second segment
 * on. With its preset, the field is ignored on a segment that continues an upload.
 */
function effectiveConditions(
  headers: RequestHeaders,
  { settings }: MethodContext,
  continues: boolean,
): RequestHeaders {
  if (!settings.repeatsIfNoneMatch || !continues) return headers
  const isDropped = (name: string): boolean =>
    name === 'if-none-match' && headers.get(name)?.trim() === '*'
  return {
    get: (name) => (isDropped(name) ? null : headers.get(name)),
    all: (name) => (isDropped(name) ? [] : headers.all(name)),
  }
}

/**
 * Whether the part continues the stored upload: it begins at or before its end, and declares the
 * same length.
 */
function isContinuation({ target }: Part, base: ResourceInfo | null): boolean {
  if (base === null || base.complete || target.kind === 'size') return false
  const { start, completeLength } = target
  return start > 0 && start <= base.size && completeLength === base.completeLength
}

/**
 * Receives and writes all data of the patch. If the client is cut off, a persist write keeps the
 * bytes so far; after an error with the effect `undo` it loses those of this request.
 */
async function receive(
  incoming: IncomingPatch,
  session: PatchSession,
  writer: Writer,
): Promise<void> {
  try {
    // These events are in memory already. They are applied before more content is awaited, so that
    // a part that does not fit is refused as soon as its header has arrived.
    await session.apply(incoming.head)
    for (;;) {
      const events = await incoming.next()
      if (events === null) break
      await session.apply(events)
    }
  } catch (error) {
    // Every byte of the announced range has arrived, and only the end of the message is missing:
    // the last chunk over HTTP/1.1, END_STREAM over HTTP/2. A cut keeps the stored bytes, so the
    // resource is complete if they reach its complete length. A PUT or an atomic patch needs the
    // end of the message, because without it the client may have had more to send.
    if (isCut(error) && writer.transaction === 'persist' && session.isWhole) return
    if (hasEffect(error, 'undo')) await writer.rollback()
    throw error
  }
  incoming.end()
  session.end()
}

/**
 * Whether the content ended early for a reason that says nothing against the bytes that have
 * arrived.
 */
function isCut(error: unknown): boolean {
  return error instanceof ConnectionLostError || hasEffect(error, 'cut')
}
