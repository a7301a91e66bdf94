/**
 * Content-Digest and Repr-Digest (RFC 9530): a right digest is accepted, and a wrong one leaves no
 * bytes.
 */
import { describe, expect, it } from 'vitest'

import { digest } from '../support/digest.ts'
import {
  CHUNKED,
  MESSAGE,
  MULTIPART,
  chunked,
  json,
  message,
  multipart,
} from '../support/wire/client.ts'
import { BOTH, MEMORY, letters, useServer } from '../support/wire/server.ts'

const WHOLE = digest(letters(8))
const WRONG = digest('something else')

describe.each(BOTH)('over $name', (combination) => {
  const server = useServer(combination)
  const document = message('bytes 4-5/10', 'EF')

  it.each([
    ['sha-256', digest(document)],
    ['sha-512', digest(document, 'sha-512')],
    ['both', `${digest(document)}, ${digest(document, 'sha-512')}`],
    ['an unknown algorithm', 'crc99=:AAAA:'],
    ['an unknown algorithm and a good one', `crc99=:AAAA:, ${digest(document)}`],
  ])('a patch with the right Content-Digest is applied: %s', async (_what, value) => {
    for (const given of ['I(4/10)', 'C(10)']) {
      const path = await server.given(given)

      const fields = [MESSAGE, `Content-Digest: ${value}`]
      const answer = await server.send('PATCH', path, fields, document)

      expect(answer.status).toBe(given === 'C(10)' ? 204 : 202)
      expect((await server.snapshot(path)).bytes.slice(0, 6)).toBe('abcdEF')
    }
  })

  it.each([
    ['sha-256', WRONG],
    ['sha-512', digest('', 'sha-512')],
    ['the second of two', `${digest(document)}, ${digest('', 'sha-512')}`],
    ['that of the data alone', digest('EF')],
  ])('a patch with a wrong Content-Digest is refused: %s', async (_what, value) => {
    for (const given of ['I(4/10)', 'C(10)']) {
      for (const coding of [[], [CHUNKED]]) {
        const path = await server.given(given)
        const before = await server.snapshot(path)
        const fields = [MESSAGE, `Content-Digest: ${value}`, ...coding]

        const body = coding.length === 0 ? document : chunked(document)
        const answer = await server.send('PATCH', path, fields, body)

        expect(json(answer)).toMatchObject({ status: 400 })
        expect(await server.snapshot(path)).toEqual(before)
      }
    }
  })

  it('a first segment with a wrong Content-Digest creates nothing', async () => {
    const path = server.path()

    const answer = await server.patch(path, 'bytes 0-3/4', 'abcd', `Content-Digest: ${WRONG}`)

    expect([answer.status, await server.state(path)]).toEqual([400, '∅'])
  })

  it.each([
    [digest(multipart(['bytes 0-3/4', 'abcd'])), 201, 'C(4)'],
    [WRONG, 400, '∅'],
  ])('the Content-Digest of a multipart covers all of it: %s', async (value, status, then) => {
    const path = server.path()

    const fields = [MULTIPART, `Content-Digest: ${value}`]
    const answer = await server.send('PATCH', path, fields, multipart(['bytes 0-3/4', 'abcd']))

    expect([answer.status, await server.state(path)]).toEqual([status, then])
  })

  it.each([
    [digest('abcd'), 201, 'C(4)'],
    [WRONG, 400, '∅'],
  ])('the Content-Digest of a PUT is verified: %s', async (value, status, then) => {
    const path = server.path()

    const answer = await server.send('PUT', path, [`Content-Digest: ${value}`], 'abcd')

    expect([answer.status, await server.state(path)]).toEqual([status, then])
  })

  describe.each([
    ['a field of the first request', 'request'],
    ['a field of the first part', 'part'],
  ])('a Repr-Digest as %s', (_where, where) => {
    const first = (value: string): readonly [readonly string[], string] => {
      const line = `Repr-Digest: ${value}`
      const body = message('bytes 0-3/8', 'abcd').toString()
      return where === 'part' ? [[MESSAGE], `${line}\r\n${body}`] : [[MESSAGE, line], body]
    }

    it.each([
      ['sha-256', WHOLE],
      ['sha-512', digest(letters(8), 'sha-512')],
      ['an unknown algorithm', 'crc99=:AAAA:'],
    ])('that is right lets the upload finish: %s', async (_what, value) => {
      const path = server.path()

      const created = await server.send('PATCH', path, ...first(value))
      const last = await server.patch(path, 'bytes 4-7/8', 'efgh')

      expect([created.status, last.status]).toEqual([202, 201])
      expect(await server.snapshot(path)).toMatchObject({ state: 'C(8)', bytes: letters(8) })
    })

    it('that is wrong keeps the upload from finishing', async () => {
      const path = server.path()

      const created = await server.send('PATCH', path, ...first(WRONG))
      const last = await server.patch(path, 'bytes 4-7/8', 'efgh')

      expect([created.status, last.status]).toEqual([202, 409])
      expect(await server.state(path)).not.toMatch(/^C/)
    })
  })

  it.each([
    [digest('abcd'), 201, 'C(4)'],
    [WRONG, 409, '∅'],
  ])('a Repr-Digest of a resource in one segment is verified: %s', async (value, status, then) => {
    const path = server.path()

    const answer = await server.patch(path, 'bytes 0-3/4', 'abcd', `Repr-Digest: ${value}`)

    expect([answer.status, await server.state(path)]).toEqual([status, then])
  })
})

describe('several values of Repr-Digest in one request', () => {
  const server = useServer(MEMORY)
  const sha256 = digest('abcd')
  const sha512 = digest('abcd', 'sha-512')
  const wrong512 = digest('', 'sha-512')

  const CASES = [
    ['agree', sha256, sha256, 201, 'C(4)'],
    ['name two algorithms', sha256, sha512, 201, 'C(4)'],
    ['of which the second is wrong', sha256, WRONG, 409, '∅'],
    ['of which the first is wrong', WRONG, sha256, 409, '∅'],
    ['of which the one of another algorithm is wrong', sha256, wrong512, 409, '∅'],
  ] as const

  it.each(CASES)('that %s: in header and part', async (_what, header, part, status, then) => {
    const path = server.path()
    const document = `Repr-Digest: ${part}\r\n${message('bytes 0-3/4', 'abcd').toString()}`

    const fields = [MESSAGE, `Repr-Digest: ${header}`]
    const answer = await server.send('PATCH', path, fields, document)

    expect([answer.status, await server.state(path)]).toEqual([status, then])
  })

  it.each(CASES)('that %s: in two parts', async (_what, first, second, status, then) => {
    const path = server.path()
    const document = multipart(
      [`bytes 0-1/4\r\nRepr-Digest: ${first}`, 'ab'],
      [`bytes 2-3/4\r\nRepr-Digest: ${second}`, 'cd'],
    )

    const answer = await server.send('PATCH', path, [MULTIPART], document)

    expect([answer.status, await server.state(path)]).toEqual([status, then])
  })

  it('that contradict each other leave an upload as it was', async () => {
    const path = await server.given('I(4/10)')
    const before = await server.snapshot(path)
    const document = `Repr-Digest: ${sha256}\r\n${message('bytes 4-5/10', 'ef').toString()}`

    const answer = await server.send('PATCH', path, [MESSAGE, `Repr-Digest: ${WRONG}`], document)

    expect(json(answer)).toMatchObject({ status: 409, code: 'ERR_REPR_DIGEST' })
    expect(await server.snapshot(path)).toEqual(before)
  })
})

describe('a Repr-Digest of a change of a finished resource', () => {
  const server = useServer(MEMORY)

  it.each([
    [digest('aBcdefghij'), 204, 'aBcdefghij'],
    [WRONG, 409, 'abcdefghij'],
  ])('is verified before the change is seen: %s', async (value, status, bytes) => {
    const path = await server.given('C(10)')

    const answer = await server.patch(path, 'bytes 1-1/10', 'B', `Repr-Digest: ${value}`)

    expect(answer.status).toBe(status)
    expect((await server.snapshot(path)).bytes).toBe(bytes)
  })
})
