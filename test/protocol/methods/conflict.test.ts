/** A request that loses a race to a writer in another process, which the lock of this process does not see. */
import { describe, expect, it } from 'vitest'

import type { StorageAdapter } from '../../../src/storage/adapter.ts'
import { memoryStorage } from '../../../src/storage/memory.ts'
import { handlerFor, patch, request } from '../../support/plain.ts'

const FINISHED = {
  complete: true,
  everComplete: true,
  completeLength: 3,
  contentType: null,
  contentDisposition: null,
  reprDigest: null,
  owner: null,
}

describe('a request that another process overtakes', () => {
  it('loses a creation with the answer of a later request', async () => {
    const answer = await handlerFor(overtaking('new'))(put({ 'If-None-Match': '*' }))

    expect(answer.status).toBe(412)
    expect(answer.headers['ETag']).toMatch(/^"/)
  })

  it('loses a change of one version with the answer of a later request', async () => {
    const storage = memoryStorage()
    await store(storage, 'old')
    const etag = (await storage.head('a'))?.etag ?? ''
    const headers = { 'If-Match': etag }

    const answer = await handlerFor(overtaking('new', storage))(
      patch('bytes 0-0/3', 'X', { headers }),
    )

    expect(answer.status).toBe(412)
  })

  it('may be tried again if its preconditions still hold', async () => {
    const storage = memoryStorage()
    await store(storage, 'old')

    const answer = await handlerFor(overtaking('new', storage))(patch('bytes 0-0/3', 'X'))

    expect(answer.status).toBe(409)
    expect(answer.headers).toMatchObject({ 'Retry-After': '1' })
  })

  it('removes no version that its preconditions do not allow', async () => {
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
