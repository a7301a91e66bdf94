/** PATCH (RFC 5789) with a byte range patch: from the header checks to the commit, in this order. */
import { hasEffect } from '../../errors.ts'
import { preferredTransaction } from '../../fields/prefer.ts'
import { finishWrite, type Outcome } from '../completion.ts'
import { verifiableDigest } from '../digest-check.ts'
import {
  ConnectionLostError,
  type HandlerRequest,
  type HandlerResponse,
  type RequestHeaders,
} from '../http.ts'
import type { Lock } from '../../storage/lock.ts'
import { createPartParser } from '../../media/parse.ts'
import type { Part } from '../../media/part.ts'
import { checkWriteConditions } from '../preconditions.ts'
import type { ResourceInfo, ResourceState, Writer } from '../../storage/adapter.ts'
import { PatchSession } from '../patch-session.ts'
import {
  checkContentCoding,
  checkContentLength,
  checkTransferCoding,
  contentDigests,
  readContent,
} from './content.ts'
import { asOnlyWriter, askToCreate, checkEarly, takeTurns, type MethodContext } from './context.ts'
import { readBack, readFirstPart, type IncomingPatch } from './incoming-patch.ts'
import { withReprDigest } from './repr-digest.ts'
import { appliedTransaction, writeResponse } from './respond.ts'
import { announcesContentDigest, checkTrailer } from './trailers.ts'

/** Answers a PATCH. */
export async function patch(
  request: HandlerRequest,
  context: MethodContext,
): Promise<HandlerResponse> {
  const { headers, key, contentLength: length } = request
  const { settings } = context

  checkTransferCoding(headers)
  const { maxParts, maxPartHeaderSize, maxSize } = settings
  const limits = { maxParts, maxPartHeaderSize, maxSize, contentLength: length }
  const format = createPartParser(headers.all('content-type'), limits)
  checkContentCoding(headers)
  checkContentLength(length, settings.maxContentLength)
  const reprDigest = verifiableDigest(headers.get('repr-digest'))
  const digests = contentDigests(headers)
  await checkEarly(request, context, (info) => relax(headers, context, info?.complete === false))

  const preferred = preferredTransaction(headers.get('prefer'))
  const announced = digests.length > 0 || announcesContentDigest(headers)
  const isAtomic = format.multipart || announced || preferred === 'atomic'
  const content = await readContent(request, {
    length,
    limit: settings.maxContentLength,
    bufferSize: isAtomic ? settings.bufferSize : 0,
    digests,
    // Parts may overlap, so the content of a multipart can't be read back.
    verifiesTrailer: format.multipart || announcesContentDigest(headers),
  })
  const incoming = await readFirstPart(content, format, {
    transaction: isAtomic ? 'atomic' : 'persist',
    reprDigest,
    owner: request.owner,
  })

  try {
    const { response, info } = await asOnlyWriter(
      request,
      context,
      settings.stallTimeout,
      async (lock) => {
        const writer = await context.storage.openWriter(key, {
          transaction: incoming.transaction,
          replace: false,
          initial: initialState(incoming),
          isLost: () => lock.isLost === true,
        })
        const outcome = await apply(incoming, writer, lock, request, context)
        const applied = appliedTransaction(preferred, writer.transaction)
        return { response: writeResponse(outcome, settings, applied), info: outcome.info }
      },
    )
    return await withReprDigest(response, info, request, context)
  } finally {
    await incoming.rest.return?.()
  }
}

function initialState({ first, reprDigest, owner }: IncomingPatch): ResourceState {
  return {
    complete: false,
    everComplete: false,
    completeLength: first.target.completeLength,
    contentType: first.contentType,
    contentDisposition: first.contentDisposition,
    reprDigest: reprDigest ?? verifiableDigest(first.reprDigest),
    owner,
  }
}

/** Writes the patch, and ends the writer in any case. */
async function apply(
  incoming: IncomingPatch,
  writer: Writer,
  lock: Lock,
  request: HandlerRequest,
  context: MethodContext,
): Promise<Outcome> {
  try {
    const continues = isContinuation(incoming.first, writer.base)
    checkWriteConditions(relax(request.headers, context, continues), writer.base)
    const session = new PatchSession(writer, {
      rules: context.settings,
      multipart: incoming.multipart,
      onFit: () => askToCreate(writer, initialState(incoming), request),
    })
    await receive(incoming, session, writer, lock)
    const reprDigest = await checkTrailer(request.trailers, writer, {
      readBack: incoming.verifiesTrailer ? null : () => readBack(incoming, writer),
      reprDigest: incoming.reprDigest ?? verifiableDigest(session.reprDigest),
    })
    const write = {
      key: request.key,
      writer,
      state: finalState(incoming, session, writer.base, reprDigest),
      size: session.progress.size,
      changed: session.changed,
      digests: null,
    }
    const isLost = (): boolean => lock.isLost === true
    return await finishWrite(write, { ...context, hooks: request.hooks, isLost })
  } catch (error) {
    await writer.keep()
    throw error
  }
}

/**
 * The fields whose conditions count. The examples of the IETF draft repeat `If-None-Match: *` on every
 * segment, which its preset lets pass on those that continue an upload.
 */
function relax(
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

function isContinuation({ target }: Part, base: ResourceInfo | null): boolean {
  if (base === null || base.complete || target.kind !== 'range') return false
  const { start, completeLength } = target
  return start > 0 && start <= base.size && completeLength === base.completeLength
}

/** Receives all data. What a persist write got before a cut stays, unless the document was malformed. */
async function receive(
  incoming: IncomingPatch,
  session: PatchSession,
  writer: Writer,
  lock: Lock,
): Promise<void> {
  try {
    await session.apply(incoming.head)
    for await (const events of takeTurns(incoming.rest, lock)) await session.apply(events)
  } catch (error) {
    // Every byte of the announced range has arrived, and only the end of the message is missing: the last
    // chunk over HTTP/1.1, END_STREAM over HTTP/2. A cut keeps the stored bytes, so the resource is
    // complete if they reach its complete length. PUT and atomic patches need the end of the message,
    // because it alone shows that the client has sent everything.
    if (isCut(error) && writer.transaction === 'persist' && session.isWhole) return
    if (hasEffect(error, 'undo')) await writer.rollback()
    throw error
  }
  incoming.end()
  session.settle()
}

/** Whether the content ended early for a reason that says nothing about what came before. */
function isCut(error: unknown): boolean {
  return error instanceof ConnectionLostError || hasEffect(error, 'cut')
}

function finalState(
  incoming: IncomingPatch,
  { progress, changed, contentType, contentDisposition }: PatchSession,
  base: ResourceInfo | null,
  announced: string | null,
): ResourceState {
  const { complete, completeLength } = progress
  // The digest of a finished resource is of its bytes; that of an upload is of what is to come.
  const isOutdated = base?.complete && (changed || completeLength !== base.completeLength)
  const earlier = base === null || isOutdated ? null : base.reprDigest
  return {
    complete,
    everComplete: complete || (base?.everComplete ?? false),
    completeLength,
    contentType: contentType ?? base?.contentType ?? null,
    contentDisposition: contentDisposition ?? base?.contentDisposition ?? null,
    reprDigest: announced ?? earlier,
    // An upload stays with whoever began it; to change a finished resource begins anew.
    owner: base === null || base.complete ? incoming.owner : base.owner,
  }
}
