/**
 * The streams of one HTTP/2 session: their effects on each other, and the state after a client has
 * left.
 */
import { once } from 'node:events'
import { constants } from 'node:http2'

import { describe, expect, it } from 'vitest'

import { FINISHED, REPLACE } from '../../src/storage/contract/check.ts'
import { CHUNKED, MESSAGE, chunk, message, request } from '../support/wire/client.ts'
import { Http2Peer } from '../support/wire/http2-client.ts'
import { HTTP2, useServer } from '../support/wire/server.ts'
import { WatchedStorage } from '../support/watched-storage.ts'

const CREATED: unknown = expect.objectContaining({ ':status': 201 })

describe('a session', () => {
  const storage = new WatchedStorage()
  const server = useServer(HTTP2, { storage, maxSize: 1000 })

  it('finishes the uploads that run while one is taken over and one is refused', async () => {
    const peer = await Http2Peer.open(`http://127.0.0.1:${server.port}`)
    const stalled = server.path()
    peer.send(request('PATCH', stalled, [MESSAGE, CHUNKED]), chunk(message('bytes 0-9/10', 'abc')))
    const healthy = Array.from({ length: 20 }, () => {
      const stream = peer.session.request({ ':method': 'PUT', ':path': server.path() })
      stream.write('half')
      return { stream, response: once(stream, 'response') }
    })
    await expect.poll(() => storage.openWriters).toBe(healthy.length + 1)

    const removed = await server.send('DELETE', stalled)
    const takenOver = await peer.answerOrClose('PATCH')
    peer.send(request('PUT', server.path(), ['Content-Length: 5000']), Buffer.alloc(5000))
    const refused = await peer.answer('PUT')
    expect(storage.openWriters).toBe(healthy.length)
    for (const { stream } of healthy) stream.end('whole')

    const responses = await Promise.all(healthy.map(({ response }) => response))
    expect([removed.status, takenOver?.status, refused.status]).toEqual([204, 409, 413])
    expect(responses.map(([fields]) => fields as unknown)).toEqual(healthy.map(() => CREATED))
    expect(peer.isOpen).toBe(true)
    peer.destroy()
  })
})

describe('a session', () => {
  const server = useServer(HTTP2, { idleTimeout: 300 })

  it('continues after an upload that stalled', async () => {
    const peer = await Http2Peer.open(`http://127.0.0.1:${server.port}`)
    const path = server.path()

    peer.send(request('PATCH', path, [MESSAGE, CHUNKED]), chunk(message('bytes 0-9/10', 'abc')))
    const silent = await peer.answer('PATCH')
    const next = await peer.send(request('PUT', server.path(), [], 'next')).answer('PUT')

    expect([silent.status, next.status, peer.isOpen]).toEqual([408, 201, true])
    expect(await server.state(path)).toBe('I(3/10)')
    peer.destroy()
  })
})

describe('a GET over HTTP/2', () => {
  const storage = new WatchedStorage()
  const server = useServer(HTTP2, { storage, idleTimeout: 200 })

  /** Stores a file of zeros. Not by a PUT, in which a busy machine may fall silent for 200 ms. */
  async function stored(size: number): Promise<string> {
    const path = server.path()
    const writer = await storage.openWriter(path.replace('/files/', ''), REPLACE)
    await writer.write(0, [Buffer.alloc(size)])
    await writer.commit({
      ...FINISHED,
      completeLength: size,
    })
    return path
  }

  it('closes its reader when the client resets its stream', async () => {
    const path = await stored(8_000_000)
    const peer = await Http2Peer.open(`http://127.0.0.1:${server.port}`)

    for (let count = 0; count < 20; count += 1) {
      const stream = peer.session.request({ ':path': path })
      await once(stream, 'data')
      stream.close(constants.NGHTTP2_CANCEL)
    }

    await expect.poll(() => storage.openReaders).toBe(0)
    expect(peer.isOpen).toBe(true)
    peer.destroy()
  })

  it.each([3, 8_000_000])('of %i bytes ends when the client opens no window', async (size) => {
    const path = await stored(size)
    const peer = await Http2Peer.open(`http://127.0.0.1:${server.port}`)
    await new Promise<void>((resolve) => {
      peer.session.settings({ initialWindowSize: 0 }, () => resolve())
    })

    const stream = peer.session.request({ ':path': path })
    stream.on('error', () => undefined)
    await new Promise((resolve) => stream.on('close', resolve))

    expect(stream.rstCode).toBe(constants.NGHTTP2_INTERNAL_ERROR)
    await expect.poll(() => storage.openReaders).toBe(0)
    expect(peer.isOpen).toBe(true)
    peer.destroy()
  })
})

describe('an answer without content to a request whose content is not read', () => {
  const server = useServer(HTTP2)

  it.each([
    ['GET', 404],
    ['HEAD', 404],
    ['OPTIONS', 204],
  ])('arrives while the client still sends: %s', async (method, status) => {
    const peer = await Http2Peer.open(`http://127.0.0.1:${server.port}`)

    peer.send(request(method, server.path(), [CHUNKED]), chunk('unwanted'))
    const answer = await peer.answer(method)
    peer.stream.end()
    await peer.closed()

    expect([answer.status, peer.isOpen]).toEqual([status, true])
    peer.destroy()
  })
})
