/** What the streams of one HTTP/2 session do to each other, and what a client leaves behind. */
import { once } from 'node:events'
import { constants } from 'node:http2'

import { describe, expect, it } from 'vitest'

import { CHUNKED, MESSAGE, chunk, message, request } from '../support/wire/client.ts'
import { Http2Peer } from '../support/wire/http2-client.ts'
import { HTTP2, HTTP2_FS, useServer } from '../support/wire/server.ts'
import { WatchedStorage } from '../support/watched-storage.ts'

describe.each([HTTP2, HTTP2_FS])('a session over $name', (combination) => {
  const server = useServer(combination, { maxSize: 1000, idleTimeout: 300, lockWait: 10_000 })

  it('finishes its uploads beside one that stalls and one that is refused', async () => {
    const peer = await Http2Peer.open(`http://127.0.0.1:${server.port}`)
    const paths = Array.from({ length: 20 }, () => server.path())
    const stalled = server.path()

    peer.send(request('PATCH', stalled, [MESSAGE, CHUNKED]), chunk(message('bytes 0-9/10', 'abc')))
    expect((await peer.answerOrClose())?.status ?? 408).toBe(408)
    peer.send(request('PUT', server.path(), ['Content-Length: 5000000']), Buffer.alloc(5_000_000))
    for (const path of paths) peer.send(request('PUT', path, [], 'healthy'))

    const statuses: number[] = []
    for (let count = 0; count <= paths.length; count += 1) {
      statuses.push((await peer.answer('PUT')).status)
    }
    expect(statuses).toEqual([413, ...paths.map(() => 201)])
    expect([await server.state(stalled), peer.isOpen]).toEqual(['I(3/10)', true])
    peer.destroy()
  })
})

describe('a GET over HTTP/2', () => {
  const storage = new WatchedStorage()
  const server = useServer(HTTP2, { storage, idleTimeout: 200 })

  it('closes what it reads when the client resets its stream', async () => {
    const path = server.path()
    await server.send('PUT', path, [], Buffer.alloc(8_000_000))
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
    const path = server.path()
    await server.send('PUT', path, [], Buffer.alloc(size))
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
  ])('arrives while the content goes on: %s', async (method, status) => {
    const peer = await Http2Peer.open(`http://127.0.0.1:${server.port}`)

    peer.send(request(method, server.path(), [CHUNKED]), chunk('unwanted'))
    const answer = await peer.answer(method)
    peer.stream.end()
    await peer.closed()

    expect([answer.status, peer.isOpen]).toEqual([status, true])
    peer.destroy()
  })
})
