/**
 * Connections that are cut in the middle of a request, and the state that HEAD reports afterwards.
 */
import { describe, expect, it } from 'vitest'

import {
  CHUNKED,
  Connection,
  MESSAGE,
  MULTIPART,
  chunk,
  field,
  message,
  multipart,
  request,
} from '../support/wire/client.ts'
import type { Peer } from '../support/wire/client.ts'
import { Http2Peer } from '../support/wire/http2-client.ts'
import { FS, HTTP2, MEMORY, letters, useServer } from '../support/wire/server.ts'
import type { Combination } from '../support/wire/server.ts'

/** The ways in which a client can end its connection. */
type End = readonly [name: string, end: (peer: Peer) => void]

const CLOSED: End = ['closed', (peer) => peer.close()]

const SOCKET_ENDS: readonly End[] = [
  CLOSED,
  ['half-closed', (peer) => peer instanceof Connection && peer.socket.end()],
]

/** Node sends RST_STREAM with the code of the error: INTERNAL_ERROR, or NO_ERROR without one. */
const STREAM_ENDS: readonly End[] = [
  CLOSED,
  ['reset', onceArrived((peer) => peer.stream.destroy(new Error('cut')))],
  ['reset without an error', onceArrived((peer) => peer.stream.destroy())],
  [
    'lost after a GOAWAY',
    onceArrived((peer) => {
      peer.session.goaway()
      peer.destroy()
    }),
  ],
]

/** Each store, with the ways in which a request over its transport can end. */
const ROWS: readonly (readonly [on: Combination, ends: readonly End[]])[] = [
  [MEMORY, [CLOSED]],
  [FS, SOCKET_ENDS],
  [HTTP2, STREAM_ENDS],
]

type Cut = readonly [given: string, contentRange: string, data: string, then: string, bytes: string]

/** The data that arrived before the cut. */
const KEPT: readonly Cut[] = [
  ['∅', 'bytes 0-9/10', 'ABC', 'I(3/10)', 'ABC'],
  ['∅', 'bytes 0-9/*', 'ABC', 'I(3/*)', 'ABC'],
  ['∅', 'bytes 0-5/10', 'A', 'I(1/10)', 'A'],
  ['I(0/10)', 'bytes 0-9/10', 'ABC', 'I(3/10)', 'ABC'],
  ['I(4/10)', 'bytes 4-9/10', 'EFG', 'I(7/10)', 'abcdEFG'],
  ['I(4/10)', 'bytes 4-9/*', 'EFGHI', 'I(9/10)', 'abcdEFGHI'],
  ['I(4/*)', 'bytes 4-9/*', 'EFG', 'I(7/*)', 'abcdEFG'],
  ['I(4/10)', 'bytes 2-9/10', 'cdEFG', 'I(7/10)', 'abcdEFG'],
]

const NOT_KEPT: readonly (readonly [given: string, contentRange: string, data: string])[] = [
  ['∅', 'bytes 0-9/10', ''],
  ['I(4/10)', 'bytes 4-9/10', ''],
  ['I(4/10)', 'bytes 5-9/10', 'FGH'],
  ['I(4/10)', 'bytes 0-9/10', 'ab'],
  ['C(10)', 'bytes 0-9/10', 'ABC'],
  ['C(10)', 'bytes 10-19/20', 'KLM'],
  ['C(10)', 'bytes 0-9/20', 'ABC'],
]

describe.each(ROWS)('over $name', (combination, ends) => {
  const server = useServer(combination)
  /** A stream that is reset at once can lose the bytes that the server has not begun to read. */
  const arrives = (path: string, state: string) =>
    combination.framework === 'http2' ? server.becomes(path, state) : undefined

  describe.each(ends)('on a connection that is %s', (_name, end) => {
    it.each(KEPT)(
      'a PATCH of %s with %s, cut after "%s", keeps it: %s "%s"',
      async (given, range, data, then, bytes) => {
        const path = await server.given(given)
        const connection = await server.connect()

        connection.send(request('PATCH', path, lengthFields(range), message(range, data)))
        await arrives(path, then)
        end(connection)

        await server.becomes(path, then)
        await server.idle(path)
        expect(await server.snapshot(path)).toMatchObject({ state: then, bytes })
      },
    )

    it.each(KEPT)(
      'a chunked PATCH of %s with %s, cut after "%s", keeps it: %s "%s"',
      async (given, range, data, then, bytes) => {
        const path = await server.given(given)
        const connection = await server.connect()

        connection.send(request('PATCH', path, [MESSAGE, CHUNKED]))
        connection.send(chunk(message(range)), ...[...data].map(chunk))
        await arrives(path, then)
        end(connection)

        await server.becomes(path, then)
        await server.idle(path)
        expect(await server.snapshot(path)).toMatchObject({ state: then, bytes })
      },
    )

    it.each(NOT_KEPT)(
      'a PATCH of %s with %s, cut after "%s", changes nothing',
      async (given, range, data) => {
        const path = await server.given(given)
        const before = await server.snapshot(path)
        const connection = await server.connect()

        end(connection.send(request('PATCH', path, lengthFields(range), message(range, data))))

        await connection.closed()
        await server.idle(path)
        expect(await server.snapshot(path)).toEqual(before)
      },
    )

    it.each(KEPT)(
      'an atomic PATCH of %s with %s, cut after "%s", changes nothing',
      async (given, range, data) => {
        const path = await server.given(given)
        const before = await server.snapshot(path)
        const connection = await server.connect()

        const fields = [...lengthFields(range), 'Prefer: transaction=atomic']
        end(connection.send(request('PATCH', path, fields, message(range, data))))

        await connection.closed()
        await server.idle(path)
        expect(await server.snapshot(path)).toEqual(before)
      },
    )
  })

  it('keeps the bytes of a reset connection', async () => {
    const path = await server.given('I(4/10)')
    const connection = await server.connect()
    connection.send(request('PATCH', path, [MESSAGE, CHUNKED]))
    connection.send(chunk(message('bytes 4-9/10', 'EFG')))
    await server.becomes(path, 'I(7/10)')

    if (connection instanceof Connection) connection.socket.resetAndDestroy()
    else connection.destroy()

    await server.idle(path)
    expect(await server.snapshot(path)).toMatchObject({ state: 'I(7/10)', bytes: 'abcdEFG' })
  })

  it.each([
    ['bytes 4-7/10', 'EFGH', 'I(8/10)', 'abcdEFGH'],
    ['bytes 4-9/10', 'EFGHIJ', 'C(10)', 'abcdEFGHIJ'],
  ])('keeps all of "%s" when only the last chunk is missing', async (range, data, then, bytes) => {
    const path = await server.given('I(4/10)')
    const connection = await server.connect()

    connection.send(request('PATCH', path, [MESSAGE, CHUNKED]), chunk(message(range)))
    connection.send(chunk(data)).close()

    await server.becomes(path, then)
    expect(await server.snapshot(path)).toMatchObject({ state: then, bytes })
  })

  it.each([
    ['a multipart', [MULTIPART, CHUNKED], multipart(['bytes 4-9/10', 'EFGHIJ'])],
    [
      'an atomic patch',
      [MESSAGE, CHUNKED, 'Prefer: transaction=atomic'],
      message('bytes 4-9/10', 'EFGHIJ'),
    ],
  ])('changes nothing by %s when only the last chunk is missing', async (_what, fields, text) => {
    const path = await server.given('I(4/10)')
    const before = await server.snapshot(path)
    const connection = await server.connect()

    connection.send(request('PATCH', path, fields), chunk(text)).close()

    await connection.closed()
    await server.idle(path)
    expect(await server.snapshot(path)).toEqual(before)
  })

  it.each(['I(4/10)', 'C(10)'])('changes nothing of %s by half a multipart', async (given) => {
    const path = await server.given(given)
    const before = await server.snapshot(path)
    const parts = multipart(['bytes 0-0/10', 'A'], ['bytes 4-9/10', 'EFGHIJ'])
    const connection = await server.connect()

    connection.send(request('PATCH', path, [MULTIPART, CHUNKED]), chunk(parts.subarray(0, -4)))
    connection.close()

    await connection.closed()
    await server.idle(path)
    expect(await server.snapshot(path)).toEqual(before)
  })

  it('keeps the type and the length of the segment that creates the resource, and of no later one', async () => {
    const path = server.path()
    const type = async () => field(await server.head(path), 'content-type')
    const send = async (text: string, state: string) => {
      const connection = await server.connect()
      connection.send(request('PATCH', path, [MESSAGE, CHUNKED]), chunk(text))
      await server.becomes(path, state)
      connection.close()
      await server.idle(path)
    }

    await send('Content-Type: a/first\r\nContent-Range: bytes 0-9/*\r\n\r\nabcd', 'I(4/*)')
    const first = await type()
    await send('Content-Type: a/later\r\nContent-Range: bytes 4-9/10\r\n\r\nef', 'I(6/*)')

    expect([first, await type(), await server.state(path)]).toEqual([
      'a/first',
      'a/first',
      'I(6/*)',
    ])
  })

  it('resumes from what HEAD reports, to the final status', async () => {
    const path = server.path()
    const connection = await server.connect()
    const fields = lengthFields('bytes 0-9/10')
    connection.send(request('PATCH', path, fields, message('bytes 0-9/10', 'abcd')))
    await arrives(path, 'I(4/10)')
    connection.close()
    await server.becomes(path, 'I(4/10)')

    const answer = await server.patch(path, 'bytes 4-9/10', 'efghij')

    expect(answer.status).toBe(201)
    expect(await server.snapshot(path)).toMatchObject({ state: 'C(10)', bytes: 'abcdefghij' })
  })
})

describe.each(ROWS)('a PUT over $name', (combination, ends) => {
  const completed: string[] = []
  const server = useServer(combination, {
    onComplete: (_req, { key }) => void completed.push(key),
  })
  const whole = letters(10)

  describe.each(ends)('whose connection is %s', (_name, end) => {
    it.each([
      ['half of the announced length', ['Content-Length: 10'], whole.slice(0, 5)],
      // Over HTTP/2 most of it is still in the buffers of the client when the stream is reset.
      ['half of 6 MB', ['Content-Length: 6000000'], Buffer.alloc(3_000_000, 'x')],
      ['half of the chunks', [CHUNKED], chunk(whole.slice(0, 5))],
      ['all but the last chunk', [CHUNKED], chunk(whole)],
      ['a byte less than announced', ['Content-Length: 11'], whole],
    ])('after %s replaces nothing', async (_what, fields, sent) => {
      const path = await server.given('C(10)')
      const before = await server.snapshot(path)
      completed.length = 0
      const connection = await server.connect()

      end(connection.send(request('PUT', path, fields), sent))

      await connection.closed()
      await server.idle(path)
      expect(await server.snapshot(path)).toEqual(before)
      expect(completed).toEqual([])
    })

    it('after half creates nothing', async () => {
      const path = server.path()
      completed.length = 0
      const connection = await server.connect()

      end(connection.send(request('PUT', path, [CHUNKED]), chunk('half')))

      await connection.closed()
      await server.idle(path)
      expect([await server.state(path), completed]).toEqual(['∅', []])
    })
  })
})

describe('a chunk that is invalid', () => {
  const server = useServer(MEMORY)

  it('keeps the data before it', async () => {
    const path = await server.given('I(4/10)')
    const connection = await server.connect()

    connection.send(request('PATCH', path, [MESSAGE, CHUNKED]))
    connection.send(chunk(message('bytes 4-9/10', 'EFG')))
    await server.becomes(path, 'I(7/10)')
    connection.send('no chunk\r\n')

    await connection.closed()
    await server.idle(path)
    expect(await server.state(path)).toBe('I(7/10)')
  })
})

describe('a patch that is cut anywhere', () => {
  const server = useServer(MEMORY)
  const single = message('bytes 2-9/10', 'cdEFGHIJ')
  const parts = multipart(['bytes 4-5/10', 'EF'], ['bytes 6-9/10', 'GHIJ'])

  it.each([...single.keys()])('keeps the data of one message: %i bytes', async (cut) => {
    const size = Math.max(4, 2 + cut - message('bytes 2-9/10').length)
    const path = await server.given('I(4/10)')
    const connection = await server.connect()
    const fields = [MESSAGE, `Content-Length: ${single.length}`]

    connection.send(request('PATCH', path, fields, single.subarray(0, cut))).close()

    await server.becomes(path, `I(${size}/10)`)
    await connection.closed()
    await server.idle(path)
    expect((await server.snapshot(path)).bytes).toBe('abcdEFGHIJ'.slice(0, size))
  })

  it.each([...parts.keys()])('changes nothing by a multipart: %i bytes', async (cut) => {
    const path = await server.given('I(4/10)')
    const before = await server.snapshot(path)
    const connection = await server.connect()
    const fields = [MULTIPART, `Content-Length: ${parts.length}`]

    connection.send(request('PATCH', path, fields, parts.subarray(0, cut))).close()

    await connection.closed()
    await server.idle(path)
    expect(await server.snapshot(path)).toEqual(before)
  })
})

describe.each([MEMORY, HTTP2])('a client that stalls over $name', (combination) => {
  const server = useServer(combination, { idleTimeout: 200, lockTimeout: 60_000 })

  it('is disconnected, and the bytes that it delivered are kept', async () => {
    const path = server.path()
    const connection = await server.connect()
    const fields = lengthFields('bytes 0-9/10')

    connection.send(request('PATCH', path, fields, message('bytes 0-9/10', 'abc')))

    const answer = await connection.answerOrClose()
    expect([undefined, 408]).toContain(answer?.status)
    await connection.closed()
    await server.idle(path)
    expect(await server.snapshot(path)).toMatchObject({ state: 'I(3/10)', bytes: 'abc' })
  })
})

/** A reset discards the bytes that still wait to be sent, so a ping is sent and awaited first. */
function onceArrived(end: (peer: Http2Peer) => void): (peer: Peer) => void {
  return (peer) => peer instanceof Http2Peer && peer.session.ping(() => end(peer))
}

/** The fields of a message/byteranges request whose content has the length of its range. */
function lengthFields(contentRange: string): string[] {
  const [, first, last] = /(\d+)-(\d+)/.exec(contentRange) ?? []
  const length = message(contentRange).length + Number(last) - Number(first) + 1
  return [MESSAGE, `Content-Length: ${length}`]
}
