/** The state rules: every cell of the table, as one message and as a multipart of one part. */
import { describe, expect, it } from 'vitest'

import {
  CHUNKED,
  MESSAGE,
  MULTIPART,
  chunked,
  json,
  message,
  multipart,
} from '../support/wire/client.ts'
import { BOTH, MEMORY, useServer } from '../support/wire/server.ts'
import { parseState } from '../support/wire/state.ts'

type Cell = readonly [
  given: string,
  contentRange: string,
  data: string,
  status: number,
  then: string,
  bytes: string,
]

const ACCEPTED: readonly Cell[] = [
  // f = 0, l + 1 = t
  ['∅', 'bytes 0-9/10', 'ABCDEFGHIJ', 201, 'C(10)', 'ABCDEFGHIJ'],
  ['∅', 'bytes 0-0/1', 'A', 201, 'C(1)', 'A'],
  ['I(4/10)', 'bytes 0-9/10', 'ABCDEFGHIJ', 201, 'C(10)', 'ABCDEFGHIJ'],
  ['I(4/10)', 'bytes 0-9/10', 'abcdEFGHIJ', 201, 'C(10)', 'abcdEFGHIJ'],
  ['I(0/3)', 'bytes 0-2/3', 'ABC', 201, 'C(3)', 'ABC'],
  ['I(4/*)', 'bytes 0-9/10', 'ABCDEFGHIJ', 201, 'C(10)', 'ABCDEFGHIJ'],
  ['I(4/*)', 'bytes 0-3/4', 'ABCD', 201, 'C(4)', 'ABCD'],
  ['I(4/*)', 'bytes 0-3/4', 'abcd', 201, 'C(4)', 'abcd'],
  ['C(10)', 'bytes 0-9/10', 'ABCDEFGHIJ', 204, 'C(10)', 'ABCDEFGHIJ'],
  ['C(10)', 'bytes 0-11/12', 'ABCDEFGHIJKL', 204, 'C(12)', 'ABCDEFGHIJKL'],
  ['C(0)', 'bytes 0-1/2', 'AB', 204, 'C(2)', 'AB'],
  // f = 0, l + 1 < t
  ['∅', 'bytes 0-3/10', 'ABCD', 202, 'I(4/10)', 'ABCD'],
  ['I(4/10)', 'bytes 0-1/10', 'AB', 202, 'I(4/10)', 'ABcd'],
  ['I(4/10)', 'bytes 0-5/10', 'ABCDEF', 202, 'I(6/10)', 'ABCDEF'],
  ['I(0/10)', 'bytes 0-1/10', 'AB', 202, 'I(2/10)', 'AB'],
  ['I(4/*)', 'bytes 0-1/10', 'AB', 202, 'I(4/10)', 'ABcd'],
  ['I(4/*)', 'bytes 0-5/10', 'ABCDEF', 202, 'I(6/10)', 'ABCDEF'],
  ['I(4/*)', 'bytes 0-1/4', 'AB', 201, 'C(4)', 'ABcd'],
  ['C(10)', 'bytes 0-3/10', 'ABCD', 204, 'C(10)', 'ABCDefghij'],
  ['C(10)', 'bytes 0-3/20', 'ABCD', 202, 'I(10/20)', 'ABCDefghij'],
  ['C(10)', 'bytes 0-11/20', 'ABCDEFGHIJKL', 202, 'I(12/20)', 'ABCDEFGHIJKL'],
  // f = 0, t = *
  ['∅', 'bytes 0-3/*', 'ABCD', 202, 'I(4/*)', 'ABCD'],
  ['I(4/10)', 'bytes 0-5/*', 'ABCDEF', 202, 'I(6/10)', 'ABCDEF'],
  ['I(4/10)', 'bytes 0-1/*', 'AB', 202, 'I(4/10)', 'ABcd'],
  ['I(4/10)', 'bytes 0-9/*', 'ABCDEFGHIJ', 201, 'C(10)', 'ABCDEFGHIJ'],
  ['I(4/*)', 'bytes 0-5/*', 'ABCDEF', 202, 'I(6/*)', 'ABCDEF'],
  ['C(10)', 'bytes 0-3/*', 'ABCD', 204, 'C(10)', 'ABCDefghij'],
  ['C(10)', 'bytes 0-11/*', 'ABCDEFGHIJKL', 204, 'C(12)', 'ABCDEFGHIJKL'],
  // 0 < f < N, l inside
  ['I(4/10)', 'bytes 1-2/10', 'BC', 202, 'I(4/10)', 'aBCd'],
  ['I(4/10)', 'bytes 1-3/*', 'BCD', 202, 'I(4/10)', 'aBCD'],
  ['I(4/*)', 'bytes 1-2/10', 'BC', 202, 'I(4/10)', 'aBCd'],
  ['I(4/*)', 'bytes 1-2/*', 'BC', 202, 'I(4/*)', 'aBCd'],
  ['I(4/*)', 'bytes 1-2/4', 'BC', 201, 'C(4)', 'aBCd'],
  ['C(10)', 'bytes 1-2/10', 'BC', 204, 'C(10)', 'aBCdefghij'],
  ['C(10)', 'bytes 9-9/10', 'J', 204, 'C(10)', 'abcdefghiJ'],
  ['C(10)', 'bytes 1-2/*', 'BC', 204, 'C(10)', 'aBCdefghij'],
  ['C(10)', 'bytes 1-2/20', 'BC', 202, 'I(10/20)', 'aBCdefghij'],
  // 0 < f < N, l beyond
  ['I(4/10)', 'bytes 2-5/10', 'CDEF', 202, 'I(6/10)', 'abCDEF'],
  ['I(4/10)', 'bytes 2-9/10', 'CDEFGHIJ', 201, 'C(10)', 'abCDEFGHIJ'],
  ['I(4/10)', 'bytes 2-9/*', 'cdEFGHIJ', 201, 'C(10)', 'abcdEFGHIJ'],
  ['I(4/*)', 'bytes 2-5/6', 'CDEF', 201, 'C(6)', 'abCDEF'],
  ['C(10)', 'bytes 8-11/12', 'IJKL', 204, 'C(12)', 'abcdefghIJKL'],
  ['C(10)', 'bytes 8-11/*', 'IJKL', 204, 'C(12)', 'abcdefghIJKL'],
  ['C(10)', 'bytes 8-11/20', 'IJKL', 202, 'I(12/20)', 'abcdefghIJKL'],
  // f = N
  ['I(4/10)', 'bytes 4-5/10', 'EF', 202, 'I(6/10)', 'abcdEF'],
  ['I(4/10)', 'bytes 4-9/10', 'EFGHIJ', 201, 'C(10)', 'abcdEFGHIJ'],
  ['I(4/10)', 'bytes 4-5/*', 'EF', 202, 'I(6/10)', 'abcdEF'],
  ['I(4/10)', 'bytes 4-9/*', 'EFGHIJ', 201, 'C(10)', 'abcdEFGHIJ'],
  ['I(4/*)', 'bytes 4-5/*', 'EF', 202, 'I(6/*)', 'abcdEF'],
  ['I(4/*)', 'bytes 4-5/10', 'EF', 202, 'I(6/10)', 'abcdEF'],
  ['I(4/*)', 'bytes 4-5/6', 'EF', 201, 'C(6)', 'abcdEF'],
  ['C(10)', 'bytes 10-11/12', 'KL', 204, 'C(12)', 'abcdefghijKL'],
  ['C(10)', 'bytes 10-11/*', 'KL', 204, 'C(12)', 'abcdefghijKL'],
  ['C(10)', 'bytes 10-11/20', 'KL', 202, 'I(12/20)', 'abcdefghijKL'],
  // bytes */t
  ['∅', 'bytes */0', '', 201, 'C(0)', ''],
  ['∅', 'bytes */10', '', 202, 'I(0/10)', ''],
  ['∅', '*/10', '', 202, 'I(0/10)', ''],
  ['I(4/*)', 'bytes */4', '', 201, 'C(4)', 'abcd'],
  ['I(4/*)', 'bytes */10', '', 202, 'I(4/10)', 'abcd'],
  ['C(10)', 'bytes */4', '', 204, 'C(4)', 'abcd'],
  ['C(10)', 'bytes */0', '', 204, 'C(0)', ''],
  ['C(10)', 'bytes */20', '', 202, 'I(10/20)', 'abcdefghij'],
]

/** The bytes are already stored: nothing changes, not even the entity tag. */
const REPEATED: readonly (readonly [string, string, string, number])[] = [
  ['I(4/10)', 'bytes 0-3/10', 'abcd', 202],
  ['I(4/10)', 'bytes 0-1/10', 'ab', 202],
  ['I(4/10)', 'bytes 1-2/10', 'bc', 202],
  ['I(4/10)', 'bytes 2-3/*', 'cd', 202],
  ['I(4/*)', 'bytes 0-3/*', 'abcd', 202],
  ['C(10)', 'bytes 0-9/10', 'abcdefghij', 204],
  ['C(10)', 'bytes 0-9/*', 'abcdefghij', 204],
  ['C(10)', 'bytes 4-9/10', 'efghij', 204],
  ['C(10)', 'bytes 3-3/*', 'd', 204],
  ['I(4/10)', 'bytes */10', '', 202],
  ['I(0/10)', 'bytes */10', '', 202],
  ['C(10)', 'bytes */10', '', 204],
  ['C(0)', 'bytes */0', '', 204],
]

type Refusal = readonly [
  given: string,
  contentRange: string,
  data: string,
  status: number,
  members?: object,
]

const REFUSED: readonly Refusal[] = [
  ['∅', 'bytes 1-2/10', 'BC', 404],
  ['∅', 'bytes 1-9/10', 'BCDEFGHIJ', 404],
  ['∅', 'bytes 4-5/*', 'EF', 404],
  ['I(4/10)', 'bytes 0-7/8', 'ABCDEFGH', 409],
  ['I(4/10)', 'bytes 0-11/12', 'ABCDEFGHIJKL', 409],
  ['I(4/10)', 'bytes 0-1/12', 'AB', 409],
  ['I(4/10)', 'bytes 0-1/3', 'AB', 409],
  ['I(4/10)', 'bytes 0-11/*', 'ABCDEFGHIJKL', 409],
  ['I(4/10)', 'bytes 1-2/9', 'BC', 409],
  ['I(4/10)', 'bytes 2-10/*', 'CDEFGHIJK', 409],
  ['I(4/10)', 'bytes 4-5/9', 'EF', 409],
  ['I(4/10)', 'bytes 4-5/11', 'EF', 409],
  ['I(4/10)', 'bytes 4-10/*', 'EFGHIJK', 409],
  ['I(4/10)', 'bytes 5-6/10', 'FG', 409, { 'expected-offset': 4, 'provided-offset': 5 }],
  ['I(4/10)', 'bytes 5-9/*', 'FGHIJ', 409, { 'expected-offset': 4, 'provided-offset': 5 }],
  ['I(0/10)', 'bytes 1-2/10', 'BC', 409, { 'expected-offset': 0, 'provided-offset': 1 }],
  ['I(4/*)', 'bytes 0-1/2', 'AB', 409],
  ['I(4/*)', 'bytes 0-1/3', 'AB', 409],
  ['I(4/*)', 'bytes 1-2/3', 'BC', 409],
  ['I(4/*)', 'bytes 5-6/*', 'FG', 409, { 'expected-offset': 4, 'provided-offset': 5 }],
  ['C(10)', 'bytes 0-7/8', 'ABCDEFGH', 409],
  ['C(10)', 'bytes 0-3/8', 'ABCD', 409],
  ['C(10)', 'bytes 1-2/8', 'BC', 409],
  ['C(10)', 'bytes 11-12/13', 'LM', 409, { 'expected-offset': 10, 'provided-offset': 11 }],
  ['C(10)', 'bytes 11-12/*', 'LM', 409],
  ['C(0)', 'bytes 1-1/2', 'B', 409],
  ['I(4/*)', 'bytes */3', '', 409],
  ['I(4/10)', 'bytes */9', '', 409],
  ['I(4/10)', 'bytes */4', '', 409],
  ['I(4/10)', 'bytes */0', '', 409],
  ['I(4/10)', 'bytes */11', '', 409],
]

const REFUSALS = REFUSED.map(([given, range, data, status, members = {}]) => {
  return [given, range, data, status, members] as const
})

const encodeMultipart = (range: string, data: string) => multipart([range, data])

const RUNS = [
  ...BOTH.map((on) => ({ on, format: 'a message', type: MESSAGE, encode: message })),
  { on: MEMORY, format: 'a multipart of one part', type: MULTIPART, encode: encodeMultipart },
]

describe.each(RUNS)('a patch as $format over $on.name', ({ on, type, encode }) => {
  const server = useServer(on)

  it.each(ACCEPTED)(
    'to %s of "%s" with "%s" is answered %i and gives %s "%s"',
    async (given, range, data, status, then, bytes) => {
      const path = await server.given(given)
      const before = await server.snapshot(path)

      const answer = await server.send('PATCH', path, [type], encode(range, data))

      const after = await server.snapshot(path)
      expect({ status: answer.status, state: after.state, bytes: after.bytes }).toEqual({
        status,
        state: then,
        bytes,
      })
      expect(after.etag).not.toBe(before.etag)
    },
  )

  it.each(REPEATED)(
    'to %s of "%s" with the "%s" it has is answered %i and changes nothing',
    async (given, range, data, status) => {
      const path = await server.given(given)
      const before = await server.snapshot(path)

      const answer = await server.send('PATCH', path, [type], encode(range, data))

      expect(answer.status).toBe(status)
      expect(await server.snapshot(path)).toEqual(before)
    },
  )

  it.each(REFUSALS)(
    'to %s of "%s" with "%s" is refused with %i and changes nothing',
    async (given, range, data, status, members) => {
      const path = await server.given(given)
      const before = await server.snapshot(path)

      const answer = await server.send('PATCH', path, [type], encode(range, data))

      expect(answer.status).toBe(status)
      if (given !== '∅')
        expect(json(answer)).toMatchObject({ status, ...stored(given), ...members })
      expect(await server.snapshot(path)).toEqual(before)
    },
  )
})

describe.each(BOTH)('a refusal over $name reports what is stored', (on) => {
  const server = useServer(on)

  it('and not the result of the parts before', async () => {
    const path = await server.given('I(4/10)')
    const parts = multipart(['bytes 4-5/*', 'EF'], ['bytes 6-11/*', 'GHIJKL'])

    const answer = await server.send('PATCH', path, [MULTIPART], parts)

    expect([answer.status, json(answer)]).toMatchObject([409, stored('I(4/10)')])
    expect((await server.snapshot(path)).state).toBe('I(4/10)')
  })

  it('of content that ended early and was kept', async () => {
    const path = await server.given('I(4/10)')
    const body = chunked(message('bytes 4-9/10', 'EF'))

    const answer = await server.send('PATCH', path, [MESSAGE, CHUNKED], body)

    expect([answer.status, json(answer)]).toMatchObject([400, stored('I(6/10)')])
    expect((await server.snapshot(path)).state).toBe('I(6/10)')
  })
})

describe('a finished resource that is completed again', () => {
  const server = useServer(MEMORY)

  it('is modified, not created: 204', async () => {
    const path = await server.given('C(4)')

    const reopened = await server.patch(path, 'bytes 4-5/8', 'EF')
    const finished = await server.patch(path, 'bytes 6-7/8', 'GH')

    expect([reopened.status, finished.status]).toEqual([202, 204])
    expect((await server.snapshot(path)).bytes).toBe('abcdEFGH')
  })

  it('is created anew after a DELETE: 201', async () => {
    const path = await server.given('C(4)')
    await server.patch(path, 'bytes 4-5/8', 'EF')
    await server.send('DELETE', path)

    const created = await server.patch(path, 'bytes 0-1/2', 'AB')

    expect(created.status).toBe(201)
  })
})

/** The members that report a state like `I(4/10)`. */
function stored(state: string): { readonly received: number; readonly length: number | null } {
  const { size, length } = parseState(state)
  return { received: size, length }
}
