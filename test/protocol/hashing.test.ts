/** Digests of stored content, and the threads that compute those of large content. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { HashingService } from '../../src/protocol/hashing.ts'
import { memoryStorage } from '../../src/storage/memory.ts'
import type { StorageAdapter } from '../../src/storage/adapter.ts'
import { digest } from '../support/digest.ts'
import { bodyOf, handlerFor, patch, request } from '../support/plain.ts'

const MIB = 1024 * 1024
/** Content that is hashed in a thread. */
const LARGE = Buffer.alloc(9 * MIB + 5, 'large content ')

let threads: Worker[] = []
const collect = (worker: Worker): void => void threads.push(worker)

beforeEach(() => {
  threads = []
  process.on('worker', collect)
})

afterEach(() => {
  process.off('worker', collect)
})

describe('the digests of content', () => {
  it.each([
    ['nothing', 0, 1, 0],
    ['one byte', 1, 1, 0],
    ['8 MiB', 8 * MIB, 100_000, 0],
    ['8 MiB and a byte', 8 * MIB + 1, 100_000, 1],
    ['large content in one chunk', LARGE.byteLength, LARGE.byteLength, 1],
    ['large content in chunks of the size of a block', LARGE.byteLength, MIB / 2, 1],
    ['large content in chunks that end inside blocks', LARGE.byteLength, MIB / 2 - 1, 1],
  ])('%s are those of all its bytes', async (_content, size, chunkSize, threadCount) => {
    const bytes = LARGE.subarray(0, size)
    const service = new HashingService(1)

    const digests = await service.digest(chunksOf(bytes, chunkSize), {
      size,
      algorithms: ['sha-512', 'sha-256'],
    })

    expect(digests.map(({ algorithm, value }) => [algorithm, hex(value)])).toEqual([
      ['sha-512', createHash('sha512').update(bytes).digest('hex')],
      ['sha-256', createHash('sha256').update(bytes).digest('hex')],
    ])
    expect(threads.length).toBe(threadCount)
  })

  it('do not change the chunks', async () => {
    const bytes = Buffer.from(LARGE)

    await new HashingService(1).digest(chunksOf(bytes, MIB), {
      size: bytes.byteLength,
      algorithms: ['sha-256'],
    })

    expect(bytes.equals(LARGE)).toBe(true)
  })
})

describe('the limit of digests that are computed at the same time', () => {
  const options = { size: LARGE.byteLength, algorithms: ['sha-256'] } as const

  it('refuses further ones of large content without reading it', async () => {
    const service = new HashingService(1)
    const held = gate()
    const first = service.digest(afterwards(held.opened, LARGE), options)
    let isRead = false

    const second = service.digest(
      (async function* () {
        isRead = true
        yield LARGE
      })(),
      options,
    )

    await expect(second).rejects.toMatchObject({
      ...{ code: 'ERR_BUSY', status: 503, members: { limit: 1 } },
      headers: { 'Retry-After': '1' },
    })
    expect(isRead).toBe(false)
    held.open()
    await first
  })

  it('does not hold for small content', async () => {
    const service = new HashingService(1)
    const held = gate()
    const first = service.digest(afterwards(held.opened, LARGE), options)

    const small = service.digest(chunksOf(Buffer.from('abc'), 3), { ...options, size: 3 })

    await expect(small).resolves.toHaveLength(1)
    held.open()
    await first
  })

  it.each([
    ['has ended', afterwards(Promise.resolve(), LARGE), 'fulfilled'],
    ['has failed', failing(), 'rejected'],
  ])('is free again after one that %s', async (_how, content, outcome) => {
    const service = new HashingService(1)

    const [first] = await Promise.allSettled([service.digest(content, options)])

    expect(first.status).toBe(outcome)
    await expect(service.digest(chunksOf(LARGE, MIB), options)).resolves.toHaveLength(1)
  })
})

describe('an aborted digest', () => {
  it.each([3, LARGE.byteLength])('of %i bytes ends at the next chunk', async (size) => {
    const service = new HashingService(1)
    const abort = new AbortController()
    const reason = new Error('the client has left')
    let isReturned = false
    async function* content(): AsyncGenerator<Uint8Array> {
      try {
        yield LARGE.subarray(0, 1)
        abort.abort(reason)
        while (true) yield LARGE.subarray(0, 1)
      } finally {
        isReturned = true
      }
    }

    const digest = service.digest(content(), {
      size,
      algorithms: ['sha-256'],
      signal: abort.signal,
    })

    await expect(digest).rejects.toBe(reason)
    expect(isReturned).toBe(true)
    for (const thread of threads) if (thread.threadId !== -1) await once(thread, 'exit')
  })
})

describe('an upload whose digest the server is too busy to verify', () => {
  it('keeps its bytes, and a request without data finishes it', async () => {
    const held = gate()
    const storage = holdingReads(held.opened)
    const handle = handlerFor(storage, { maxHashings: 1 })
    const first = handle(upload('first'))
    await expect.poll(() => threads.length).toBe(1)

    const refused = await handle(upload('second'))
    const between = await handle({ ...request({ method: 'HEAD' }), key: 'second' })
    held.open()
    const finished = await first
    const last = await handle({ ...patch(`bytes */${LARGE.byteLength}`), key: 'second' })

    expect([refused.status, refused.headers['Retry-After']]).toEqual([503, '1'])
    expect(JSON.parse(await bodyOf(refused))).toMatchObject({ code: 'ERR_BUSY' })
    expect([between.status, between.headers['Content-Length']]).toEqual([
      299,
      String(LARGE.byteLength),
    ])
    expect([finished.status, last.status]).toEqual([201, 201])
  })
})

describe('a digest that a client asks for', () => {
  it('is aborted when the client has disconnected', async () => {
    const storage = memoryStorage()
    const handle = handlerFor(storage, { maxHashings: 1 })
    const plain = patch(`bytes 0-${LARGE.byteLength - 1}/*`, LARGE.toString('latin1'))
    await handle(plain)
    const asked = request({ method: 'HEAD', headers: { 'Want-Repr-Digest': 'sha-256=1' } })

    const left = await handle({ ...asked, closeSignal: () => AbortSignal.abort() })
    const whole = await handle(asked)

    expect(left.headers['Repr-Digest']).toBeUndefined()
    expect(whole.headers['Repr-Digest']).toMatch(/^sha-256=:/)
  })
})

describe('a PUT whose digest is announced', () => {
  it('is hashed while it arrives, however busy the server is', async () => {
    const held = gate()
    const storage = holdingReads(held.opened)
    const handle = handlerFor(storage, { maxHashings: 1 })
    const first = handle(upload('first'))
    await expect.poll(() => threads.length).toBe(1)

    const right = await handle(put('right', LARGE))
    const wrong = await handle(put('wrong', LARGE.subarray(1)))
    held.open()
    await first

    expect([right.status, wrong.status, threads.length]).toEqual([201, 409, 1])
    expect((await storage.head('right'))?.size).toBe(LARGE.byteLength)
    expect(await storage.head('wrong')).toBeNull()
  })
})

/** A PUT that announces the digest of `LARGE`. */
function put(key: string, content: Buffer) {
  const headers = {
    'Content-Length': String(content.byteLength),
    'Repr-Digest': digest(LARGE),
  }
  return { ...request({ method: 'PUT', headers, body: [content.toString('latin1')] }), key }
}

function upload(key: string) {
  const range = `bytes 0-${LARGE.byteLength - 1}/${LARGE.byteLength}`
  const headers = { 'Repr-Digest': digest(LARGE) }
  return { ...patch(range, LARGE.toString('latin1'), { headers }), key }
}

/** A storage whose writers are read only once `opened` resolves. */
function holdingReads(opened: Promise<void>): StorageAdapter {
  const storage = memoryStorage()
  return {
    ...storage,
    openWriter: async (key, options) => {
      const writer = await storage.openWriter(key, options)
      const read = writer.read.bind(writer)
      writer.read = async function* (start, end) {
        await opened
        yield* read(start, end)
      }
      return writer
    },
  }
}

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open }
}

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size)
}

async function* afterwards(opened: Promise<void>, bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  await opened
  yield bytes
}

async function* failing(): AsyncGenerator<Uint8Array> {
  yield LARGE
  throw new Error('the disk is gone')
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
