/** Changes of large resources at the same time, each of which makes a copy. */
import express from 'express'
import http from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

import { partialUpload, prepareServer, type StorageAdapter } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { describe, expect, it } from 'vitest'

import { closedAfterEach } from '../support/listening.ts'
import { MESSAGE, MULTIPART, ask, field, json, message, multipart } from '../support/wire/client.ts'

const { servers } = closedAfterEach()

const LARGE = Buffer.alloc(8 * 1024 * 1024 + 1, 'a')
const CHANGE = message('bytes 0-0/*', 'X')

describe('copies of large resources beyond maxCopies', () => {
  it.each([
    ['a byte', [MESSAGE], CHANGE],
    ['a part', [MULTIPART], multipart(['bytes 3-3/*', 'X'])],
    ['the length', [MESSAGE], message('bytes */5')],
    ['the declared length', [MESSAGE], message(`bytes */${LARGE.byteLength + 1}`)],
  ] as const)('are refused, and a change of %s leaves no copy', async (_what, fields, body) => {
    const { server, copies } = await serve()
    await ask(server, 'PUT', '/files/a', [], LARGE)
    await ask(server, 'PUT', '/files/b', [], LARGE)
    const before = await ask(server, 'HEAD', '/files/b')
    const first = ask(server, 'PATCH', '/files/a', [MESSAGE], CHANGE)
    await copies.begun

    const refused = await ask(server, 'PATCH', '/files/b', fields, body)
    copies.end()

    expect([refused.status, field(refused, 'retry-after')]).toEqual([503, '1'])
    expect(json(refused)).toMatchObject({ code: 'ERR_BUSY', limit: 1 })
    expect(field(await ask(server, 'HEAD', '/files/b'), 'etag')).toBe(field(before, 'etag'))
    expect((await first).status).toBe(204)
    const later = await ask(server, 'PATCH', '/files/b', fields, body)
    expect(later.status).toBeLessThan(300)
  })

  it('do not limit changes that copy few bytes', async () => {
    const { server, copies } = await serve()
    await ask(server, 'PUT', '/files/a', [], LARGE)
    await ask(server, 'PUT', '/files/b', [], LARGE)
    await ask(server, 'PUT', '/files/small', [], 'abc')
    const first = ask(server, 'PATCH', '/files/a', [MESSAGE], CHANGE)
    await copies.begun

    const change = await ask(server, 'PATCH', '/files/small', [MESSAGE], CHANGE)
    const overwrite = await ask(server, 'PUT', '/files/b', [], 'abc')
    copies.end()

    expect([change.status, overwrite.status, (await first).status]).toEqual([204, 204, 204])
  })
})

/** The first change of the resource `a` waits for `copies.end`. */
async function serve() {
  let begin = (): void => undefined
  let end = (): void => undefined
  const begun = new Promise<void>((resolve) => (begin = resolve))
  const ended = new Promise<void>((resolve) => (end = resolve))
  const plain = memoryStorage()
  const storage: StorageAdapter = {
    ...plain,
    openWriter: async (key, options) => {
      const writer = await plain.openWriter(key, options)
      const write = writer.write.bind(writer)
      writer.write = async (position, chunks) => {
        if (key === 'a' && writer.base !== null) {
          begin()
          await ended
        }
        await write(position, chunks)
      }
      return writer
    },
  }
  const app = express().use('/files', partialUpload({ storage, maxCopies: 1 }))
  const server = prepareServer(http.createServer(app))
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { server: { port }, copies: { begun, end: () => end() } }
}
