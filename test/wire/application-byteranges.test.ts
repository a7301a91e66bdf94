/** PATCH with application/byteranges: the same as a multipart, in binary framing. */
import { describe, expect, it } from 'vitest'

import { hex, indeterminate, known, range } from '../support/binary.ts'
import {
  CHUNKED,
  chunk,
  chunked,
  field,
  multipart,
  MULTIPART,
  request,
} from '../support/wire/client.ts'
import { CORNERS, MEMORY, letters, useServer } from '../support/wire/server.ts'

const BINARY = 'Content-Type: application/byteranges'

describe.each(CORNERS)('application/byteranges over $name', (combination) => {
  const server = useServer(combination)

  it('changes one byte', async () => {
    const path = await server.given('C(32)')
    const document = hex(`08 2c 0d 436f6e74656e742d52616e6765 0c 627974657320322d322f3332
                          0e 436f6e74656e742d4c656e677468 01 31 01 ff`)

    const answer = await server.send('PATCH', path, [BINARY], document)

    expect(answer.status).toBe(204)
    expect((await server.snapshot(path)).bytes).toBe(`ab\xff${letters(32).slice(3)}`)
  })

  it.each([
    ['a known length', known(range('bytes 2-6/25'), '23456')],
    ['chunks', indeterminate(range('bytes 2-6/25'), '23', '456')],
  ])('continues an upload by data of %s', async (_what, document) => {
    const path = await server.given('I(4/25)')

    const answer = await server.send('PATCH', path, [BINARY], document)

    expect(answer.status).toBe(202)
    expect(await server.snapshot(path)).toMatchObject({ state: 'I(7/25)', bytes: 'ab23456' })
  })

  it.each(['∅', 'I(4/10)', 'C(10)', 'C(4)'])(
    'has the effect of a multipart on %s',
    async (given) => {
      const ranges = [
        ['bytes 8-9/12', 'IJ'],
        ['bytes 0-3/12', 'ABCD'],
        ['bytes 4-7/*', 'EFGH'],
      ] as const
      const [path, other] = [await server.given(given), await server.given(given)]

      const document = ranges.map(([at, data]) => known(range(at), data)).join('')
      const answer = await server.send('PATCH', path, [BINARY], document)
      const expected = await server.send('PATCH', other, [MULTIPART], multipart(...ranges))

      expect([answer.status, answer.body]).toEqual([expected.status, expected.body])
      const { state, bytes } = await server.snapshot(other)
      expect(await server.snapshot(path)).toMatchObject({ state, bytes })
    },
  )

  it.each([
    ['a wrong second part', known(range('bytes 4-5/10'), 'ef') + known(range('bytes 6-9/10'), 'g')],
    ['a gap', known(range('bytes 4-5/10'), 'ef') + known(range('bytes 8-9/10'), 'ij')],
    ['an end inside', known(range('bytes 4-9/10'), 'efghij').slice(0, -1)],
    ['other framing', `\x00${known(range('bytes 4-9/10'), 'efghij').slice(1)}`],
    [
      "the lengths of the draft's author",
      `\x08\x64\0${known(range('bytes 4-4/10'), 'e').slice(2)}`,
    ],
  ])('with %s is refused, and nothing of it is kept', async (_what, document) => {
    const path = await server.given('I(4/10)')
    const before = await server.snapshot(path)

    const answer = await server.send('PATCH', path, [BINARY], document)
    const inChunks = await server.send('PATCH', path, [BINARY, CHUNKED], chunked(document))

    expect([400, 409]).toContain(answer.status)
    expect(inChunks.status).toBe(answer.status)
    expect(await server.snapshot(path)).toEqual(before)
  })

  it('keeps no bytes of a document that was cut', async () => {
    const path = await server.given('I(4/10)')
    const before = await server.snapshot(path)
    const document = known(range('bytes 4-5/10'), 'ef') + known(range('bytes 6-9/10'), 'ghij')
    const connection = await server.connect()

    connection.send(request('PATCH', path, [BINARY, CHUNKED]), chunk(document.slice(0, -2)))
    connection.close()

    await connection.closed()
    await server.idle(path)
    expect(await server.snapshot(path)).toEqual(before)
  })

  it('may arrive byte by byte', async () => {
    const path = await server.given('I(4/10)')
    const document = indeterminate(range('bytes 4-9/10'), 'efg', 'hij')

    const body = chunked(...document)
    const answer = await server.send('PATCH', path, [BINARY, CHUNKED], body)

    expect([answer.status, (await server.snapshot(path)).bytes]).toEqual([201, 'abcdefghij'])
  })
})

describe('application/byteranges', () => {
  const server = useServer(MEMORY)

  it('is announced', async () => {
    const answer = await server.send('OPTIONS', server.path())

    expect(field(answer, 'accept-patch')).toBe(
      'message/byteranges, multipart/byteranges, message/byterange, application/byteranges',
    )
  })

  it('is refused as the content of a PUT', async () => {
    const answer = await server.send('PUT', server.path(), [BINARY], 'x')

    expect(answer.status).toBe(415)
  })
})
