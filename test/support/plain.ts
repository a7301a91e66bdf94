/** Requests and answers as plain values, for the protocol without HTTP. */
import { UploadError } from '../../src/errors.ts'
import { createHandler, type Handler } from '../../src/protocol/handler.ts'
import { Events } from '../../src/protocol/events.ts'
import { HashingService } from '../../src/protocol/hashing.ts'
import type { Hooks } from '../../src/hooks.ts'
import type { HandlerRequest, HandlerResponse } from '../../src/protocol/http.ts'
import { memoryLocker } from '../../src/storage/lock.ts'
import { problemResponse } from '../../src/server/problem.ts'
import type { PartialUploadOptions } from '../../src/options.ts'
import { resolveSettings } from '../../src/settings.ts'
import type { StorageAdapter } from '../../src/storage/adapter.ts'
import { memoryStorage } from '../../src/storage/memory.ts'

export type Options = Partial<PartialUploadOptions<unknown>>

/** A handler over a storage, with the settings of the options. */
export function handlerFor(
  storage: StorageAdapter = memoryStorage(),
  options: Options = {},
): Handler {
  const settings = resolveSettings({ ...options, storage })
  const hooks = { onPublished: null, onRemoved: null }
  const handle = createHandler({
    events: new Events({ storage, hooks, withLock: async () => null }),
    storage,
    locker: options.locker ?? memoryLocker(),
    settings,
    isPrivate: false,
    hashing: new HashingService(settings.maxHashings),
  })
  return (request) => handle(request).catch(toProblem)
}

function toProblem(error: unknown): HandlerResponse {
  if (error instanceof UploadError) return problemResponse(error)
  throw error
}

interface PlainRequest {
  readonly method: string
  readonly headers?: Readonly<Record<string, string>>
  /** The batches of the content. */
  readonly body?: AsyncIterable<readonly Uint8Array[]> | readonly string[]
  readonly hooks?: Partial<Hooks>
}

/** A request for the resource `a`. */
export function request({
  method,
  headers = {},
  body = [],
  hooks = {},
}: PlainRequest): HandlerRequest {
  const fields = new Map(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  )
  const wait = { begin: () => undefined as void, end: () => undefined as void }
  const batches = Array.isArray(body) ? batchesOf(body as readonly string[], wait) : body
  return {
    method,
    key: 'a',
    owner: null,
    headers: {
      get: (name) => fields.get(name) ?? null,
      all: (name) => (fields.has(name) ? [fields.get(name) ?? ''] : []),
    },
    trailers: null,
    contentLength: fields.has('transfer-encoding')
      ? null
      : Number(fields.get('content-length') ?? 0),
    body: batches as AsyncIterable<readonly Uint8Array[]>,
    readAll: async () => {
      const chunks: Uint8Array[] = []
      for await (const batch of batches as AsyncIterable<readonly Uint8Array[]>)
        chunks.push(...batch)
      return Buffer.concat(chunks)
    },
    onWait: (begin, end) => Object.assign(wait, { begin, end }),
    stop: () => undefined,
    closeSignal: () => new AbortController().signal,
    hooks: {
      onCreate: async () => undefined,
      onComplete: async () => null,
      onPublished: null,
      onRemoved: async () => undefined,
      ...hooks,
    },
  }
}

/** A PATCH with one range. */
export function patch(
  contentRange: string,
  data = '',
  { headers = {}, hooks = {} }: Pick<PlainRequest, 'headers' | 'hooks'> = {},
): HandlerRequest {
  const message = `Content-Range: ${contentRange}\r\n\r\n${data}`
  return request({
    method: 'PATCH',
    headers: {
      'Content-Type': 'message/byteranges',
      'Content-Length': String(message.length),
      ...headers,
    },
    body: [message],
    hooks,
  })
}

/** The content of an answer. */
export async function bodyOf({ body }: HandlerResponse): Promise<string> {
  if (body === undefined || typeof body === 'string') return body ?? ''
  if (body instanceof Uint8Array) return Buffer.from(body).toString('latin1')
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks).toString('latin1')
}

/** The texts as content of a client. The body waits for each of them, and for the end. */
async function* batchesOf(
  texts: readonly string[],
  wait: { readonly begin: () => void; readonly end: () => void },
): AsyncGenerator<readonly Uint8Array[]> {
  for (const text of [...texts, null]) {
    wait.begin()
    wait.end()
    if (text !== null) yield [Buffer.from(text, 'latin1')]
  }
}
