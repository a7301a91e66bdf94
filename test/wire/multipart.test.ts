/** The grammar of multipart/byteranges, and that a malformed one changes nothing. */
import { describe, expect, it } from 'vitest'

import { CHUNKED, MULTIPART, chunked, json, multipart } from '../support/wire/client.ts'
import { MEMORY, useServer } from '../support/wire/server.ts'

const AB = 'Content-Range: bytes 0-1/10\r\n\r\nAB'
const CD = 'Content-Range: bytes 2-3/10\r\n\r\nCD'
const PLAIN = 'multipart/byteranges; boundary=SEP'
const BODY = `--SEP\r\n${AB}\r\n--SEP\r\n${CD}\r\n--SEP--\r\n`

/** All of them write `ABCD` to a resource of 10 bytes. */
const WELL_FORMED: readonly (readonly [what: string, type: string, body: string])[] = [
  ['a line end after the close-delimiter', PLAIN, BODY],
  ['nothing after the close-delimiter', PLAIN, BODY.slice(0, -2)],
  ['a preamble', PLAIN, `of no\r\n interest\r\n${BODY}`],
  ['a preamble of an empty line', PLAIN, `\r\n${BODY}`],
  ['an epilogue', PLAIN, `${BODY}of --SEP no\r\n--SEP\r\ninterest`],
  ['padding after delimiters', PLAIN, BODY.replaceAll('SEP\r\n', 'SEP \t\r\n')],
  ['padding after the close-delimiter', PLAIN, BODY.replace('SEP--', 'SEP-- \t ')],
  ['a type in capitals', 'MULTIPART/ByteRanges; BOUNDARY=SEP', BODY],
  ['a quoted boundary', 'multipart/byteranges; boundary="SEP"', BODY],
  ['an escaped boundary', 'multipart/byteranges; boundary="S\\E\\P"', BODY],
  ['further parameters', 'multipart/byteranges; a=b; boundary=SEP; c="d;boundary=X"', BODY],
  ['no boundary parameter', 'multipart/byteranges', BODY],
  ['no boundary parameter and an empty line first', 'multipart/byteranges', `\r\n${BODY}`],
  [
    'a boundary of odd characters',
    `multipart/byteranges; boundary="'()+_,-./:=? x"`,
    BODY.replaceAll('SEP', "'()+_,-./:=? x"),
  ],
  [
    'a boundary of 70 characters',
    `multipart/byteranges; boundary=${'x'.repeat(70)}`,
    BODY.replaceAll('SEP', 'x'.repeat(70)),
  ],
  [
    'a boundary that begins with dashes',
    'multipart/byteranges; boundary=----SEP',
    BODY.replaceAll('--SEP', '------SEP'),
  ],
]

const MALFORMED: readonly (readonly [what: string, type: string, body: string])[] = [
  ['an empty boundary', 'multipart/byteranges; boundary=', BODY],
  ['an empty quoted boundary', 'multipart/byteranges; boundary=""', BODY],
  [
    'a boundary of 71 characters',
    `multipart/byteranges; boundary=${'x'.repeat(71)}`,
    BODY.replaceAll('SEP', 'x'.repeat(71)),
  ],
  ['an illegal boundary', 'multipart/byteranges; boundary="S@P"', BODY.replaceAll('SEP', 'S@P')],
  [
    'a boundary that ends in a space',
    'multipart/byteranges; boundary="SEP "',
    BODY.replaceAll('SEP', 'SEP '),
  ],
  ['nothing at all', PLAIN, ''],
  ['no delimiter', PLAIN, AB],
  ['another boundary', PLAIN, BODY.replaceAll('SEP', 'OTHER')],
  ['a boundary in other case', PLAIN, BODY.replaceAll('SEP', 'sep')],
  ['no parts', PLAIN, '--SEP--\r\n'],
  ['a delimiter and nothing else', PLAIN, '--SEP\r\n'],
  ['no close-delimiter', PLAIN, BODY.slice(0, BODY.lastIndexOf('\r\n--SEP--'))],
  ['a truncated close-delimiter', PLAIN, BODY.slice(0, -4)],
  ['half a close-delimiter', PLAIN, BODY.slice(0, -3)],
  ['no boundary to be found', 'multipart/byteranges', `preamble\r\n${BODY}`],
  ['no boundary and no parts', 'multipart/byteranges', 'abc'],
  ['a part without a blank line', PLAIN, '--SEP\r\nContent-Range: bytes 0-1/10\r\n--SEP--\r\n'],
  ['a part without data', PLAIN, `--SEP\r\n${AB}\r\n--SEP\r\n${CD.slice(0, -2)}\r\n--SEP--`],
  ['a part that shares the line end of its delimiter', PLAIN, BODY.replace('\r\nCD', '')],
  ['a second part that is short', PLAIN, BODY.replace('CD', 'C')],
  ['a second part that is long', PLAIN, BODY.replace('CD', 'CDE')],
  ['a first part that is short', PLAIN, BODY.replace('AB', 'A')],
  ['a delimiter inside data', PLAIN, BODY.replace('0-1', '0-7').replace('AB', 'A\r\n--SEP\r\nB')],
  ['totals that differ', PLAIN, BODY.replace('2-3/10', '2-3/11')],
  ['one part without a range', PLAIN, BODY.replace('Content-Range: bytes 2-3/10', 'A: b')],
  ['bare LFs', PLAIN, BODY.replaceAll('\r\n', '\n')],
]

describe('multipart/byteranges', () => {
  const server = useServer(MEMORY)

  it.each(WELL_FORMED)('may have %s', async (_what, type, body) => {
    const path = server.path()

    const answer = await server.send('PATCH', path, [`Content-Type: ${type}`], body)

    expect(answer.status).toBe(202)
    expect(await server.snapshot(path)).toMatchObject({ state: 'I(4/10)', bytes: 'ABCD' })
  })

  it.each(MALFORMED)('is refused for %s and stores nothing of any part', async (_, type, body) => {
    for (const state of ['∅', 'I(4/10)', 'C(10)']) {
      const path = await server.given(state)
      const before = await server.snapshot(path)

      const answer = await server.send('PATCH', path, [`Content-Type: ${type}`], body)

      expect(`${state} ${answer.status}`).toBe(`${state} 400`)
      expect(json(answer)).toMatchObject({ status: 400 })
      expect(await server.snapshot(path)).toEqual(before)
    }
  })
})

describe('multipart/byteranges', () => {
  const server = useServer(MEMORY)

  it.each([...BODY].map((_, position) => position).slice(1))(
    'means the same when it is cut at %i',
    async (cut) => {
      const path = server.path()

      const body = chunked(BODY.slice(0, cut), BODY.slice(cut))
      const answer = await server.send('PATCH', path, [MULTIPART, CHUNKED], body)

      expect(answer.status).toBe(202)
      expect(await server.snapshot(path)).toMatchObject({ state: 'I(4/10)', bytes: 'ABCD' })
    },
  )

  it('keeps data that looks like the beginning of a delimiter', async () => {
    const data = '\r\n\r\n--SE\r\n-\r\n--\r\r\n--SEQ--\r\n'
    const path = server.path()

    const body = multipart([`bytes 0-${data.length - 1}/${data.length}`, data])
    const answer = await server.send('PATCH', path, [MULTIPART], body)

    expect(answer.status).toBe(201)
    expect((await server.snapshot(path)).bytes).toBe(data)
  })

  it.each(['--SEP', '--SEPX', '--SEP-', '--SEP \tX'])(
    'never silently drops data that has a line of "%s"',
    async (line) => {
      const data = `a\r\n${line}b`
      const path = server.path()

      const body = multipart([`bytes 0-${data.length - 1}/${data.length}`, data])
      const answer = await server.send('PATCH', path, [MULTIPART], body)

      const { state, bytes } = await server.snapshot(path)
      expect([
        [201, `C(${data.length})`, data],
        [400, '∅', ''],
      ]).toContainEqual([answer.status, state, bytes])
    },
  )

  it.each([
    [128, 202],
    [129, 400],
  ])('of %i parts is answered %i', async (count, status) => {
    const parts = Array.from({ length: count }, (_, at) => [`bytes ${at}-${at}/500`, 'x'] as const)

    const answer = await server.send('PATCH', server.path(), [MULTIPART], multipart(...parts))

    expect(answer.status).toBe(status)
  })

  it('finds delimiters across the chunks of large parts', async () => {
    const size = 300_000
    const bytes = Buffer.from(Uint8Array.from({ length: size }, (_, at) => (at * 31) % 251))
    const path = server.path()
    const parts = [0, 100_000, 200_000].map((start) => {
      const end = start + 100_000
      return [`bytes ${start}-${end - 1}/${size}`, bytes.subarray(start, end)] as const
    })

    const answer = await server.send('PATCH', path, [MULTIPART], multipart(...parts))

    expect(answer.status).toBe(201)
    expect((await server.send('GET', path)).body.equals(bytes)).toBe(true)
  })
})
