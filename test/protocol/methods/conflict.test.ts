/**
 * A request that loses a race to a writer in another process, which the lock of this process does
 * not see.
 */
import { describe, expect, it } from 'vitest'

import type { HandlerResponse } from '../../../src/protocol/http.ts'
import type { StorageAdapter } from '../../../src/storage/adapter.ts'
import { conflict } from '../../../src/storage/conflict.ts'
import { FINISHED as DONE } from '../../../src/storage/contract/check.ts'
import { memoryStorage } from '../../../src/storage/memory.ts'
import { handlerFor, patch, request } from '../../support/plain.ts'

const FINISHED = { ...DONE, completeLength: 3 }

describe('a request that another process overtakes', () => {
  it('answers a lost creation as a later request', async () => {
    const answer = await handlerFor(overtaking('new'))(put({ 'If-None-Match': '*' }))

    expect(answer.status).toBe(412)
    expect(answer.headers['ETag']).toMatch(/^"/)
  })

  it('answers a lost change of one version as a later request', async () => {
    const storage = memoryStorage()
    await store(storage, 'old')
    const etag = (await storage.head('a'))?.etag ?? ''
    const headers = { 'If-Match': etag }

    const answer = await handlerFor(overtaking('new', storage))(
      patch('bytes 0-0/3', 'X', { headers }),
    )

    expect(answer.status).toBe(412)
  })

  it('is answered 409 with Retry-After if its preconditions still hold', async () => {
    const storage = memoryStorage()
    await store(storage, 'old')

    const answer = await handlerFor(overtaking('new', storage))(patch('bytes 0-0/3', 'X'))

    expect(answer.status).toBe(409)
    expect(answer.headers).toMatchObject({ 'Retry-After': '1' })
  })

  it.each(['a new version', 'nothing'])('reads %s after a version that was lost', async (next) => {
    const storage = memoryStorage()
    await store(storage, 'old')
    let opened = 0
    let closed = 0
    const racing: StorageAdapter = {
      ...storage,
      openReader: async (key) => {
        const reader = await storage.openReader(key)
        if (reader === null) return null
        opened += 1
        const close = async (): Promise<void> => {
          closed += 1
        }
        if (opened > 1) return { ...reader, close }
        if (next === 'nothing') await storage.remove(key)
        else await store(storage, 'new')
        return { info: reader.info, read: losing, close }
      },
    }

    const answer = await handlerFor(racing)(request({ method: 'GET' }))

    expect([answer.status, await bodyOf(answer)]).toEqual(
      next === 'nothing' ? [404, ''] : [200, 'new'],
    )
    expect(closed).toBeGreaterThanOrEqual(opened)
  })

  it('gets an error if each version is lost before it was read', async () => {
    const storage = memoryStorage()
    await store(storage, 'old')
    const racing: StorageAdapter = {
      ...storage,
      openReader: async (key) => {
        const reader = await storage.openReader(key)
        return reader === null ? null : { ...reader, read: losing }
      },
    }

    const answer = await handlerFor(racing)(request({ method: 'GET' }))

    expect([answer.status, answer.headers['Retry-After']]).toEqual([409, '1'])
  })

  it('does not remove a version that its preconditions exclude', async () => {
    const storage = memoryStorage()
    await store(storage, 'old')
    const etag = (await storage.head('a'))?.etag ?? ''
    const racing: StorageAdapter = {
      ...storage,
      remove: async (key) => {
        await store(storage, 'new')
        const stale = await storage.openWriter(key, OPTIONS)
        await store(storage, 'newer')
        await stale.commit(FINISHED)
        return true
      },
    }

    const answer = await handlerFor(racing)(
      request({ method: 'DELETE', headers: { 'If-Match': etag } }),
    )

    expect(answer.status).toBe(412)
  })
})

const OPTIONS = { transaction: 'atomic', replace: true, initial: FINISHED } as const

/** A storage in which another process stores `text` as soon as a writer is open. */
function overtaking(text: string, storage = memoryStorage()): StorageAdapter {
  return {
    ...storage,
    openWriter: async (key, options) => {
      const writer = await storage.openWriter(key, options)
      await store(storage, text)
      return writer
    },
  }
}

async function store(storage: StorageAdapter, text: string): Promise<void> {
  const writer = await storage.openWriter('a', OPTIONS)
  await writer.write(0, [Buffer.from(text)])
  await writer.commit(FINISHED)
}

function put(headers: Record<string, string>) {
  return request({ method: 'PUT', headers: { 'Content-Length': '3', ...headers }, body: ['abc'] })
}

async function* losing(): AsyncGenerator<Uint8Array, void, undefined> {
  yield* []
  throw conflict()
}

async function bodyOf({ body = '' }: HandlerResponse): Promise<string> {
  if (typeof body === 'string' || body instanceof Uint8Array) return String(body)
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
