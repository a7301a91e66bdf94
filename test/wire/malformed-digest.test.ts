/** A malformed digest is refused in every place, and is never ignored (RFC 9530 §2). */
import { describe, expect, it } from 'vitest'

import {
  CHUNKED,
  MESSAGE,
  MULTIPART,
  chunk,
  json,
  message,
  multipart,
  request,
  toBuffer,
} from '../support/wire/client.ts'
import { HTTP2, MEMORY, useServer } from '../support/wire/server.ts'

const FIELDS = ['Content-Digest', 'Repr-Digest']
const VALUES = ['sha-256=abc', 'sha-256=:AAAA:', 'sha-512=:!:', '=:AA==:', 'sha-256']

describe.each([MEMORY, HTTP2])('over $name', (combination) => {
  const server = useServer(combination)

  /** Sends content whose header or trailer has the line, and returns the result. */
  async function outcome(
    method: string,
    given: string,
    fields: readonly string[],
    content: string | Uint8Array,
    trailer = '',
  ) {
    const path = await server.given(given)
    const before = await server.snapshot(path)
    const peer = await server.connect()
    const isTrailer = trailer !== ''
    const head = request(method, path, [...fields, CHUNKED])
    const end = isTrailer ? `0\r\n${trailer}\r\n\r\n` : '0\r\n\r\n'
    const answer = await peer.send(head, chunk(content), toBuffer(end)).answer(method)
    const { status, code } = json(answer)
    const { state, bytes } = await server.snapshot(path)
    return { status, code, isSame: state === before.state && bytes === before.bytes }
  }

  const refused = { status: 400, code: 'ERR_FIELD', isSame: true }

  describe.each(FIELDS)('%s', (name) => {
    it.each(VALUES)('in the header: %s', async (value) => {
      const fields = [`${name}: ${value}`]
      const part = message('bytes 4-9/10', 'EFGHIJ')
      const parts = multipart(['bytes 4-9/10', 'EFGHIJ'])

      expect(await outcome('PATCH', 'I(4/10)', [MESSAGE, ...fields], part)).toEqual(refused)
      expect(await outcome('PATCH', 'C(10)', [MULTIPART, ...fields], parts)).toEqual(refused)
      expect(await outcome('PUT', 'C(10)', fields, 'new')).toEqual(refused)
    })

    it.each(VALUES)('in a part: %s', async (value) => {
      const part = `${name}: ${value}\r\nContent-Range: bytes 4-9/10\r\n\r\nEFGHIJ`
      const parts = `--SEP\r\n${part}\r\n--SEP--\r\n`

      expect(await outcome('PATCH', 'I(4/10)', [MESSAGE], part)).toEqual(refused)
      expect(await outcome('PATCH', 'C(10)', [MULTIPART], parts)).toEqual(refused)
    })

    it.each(VALUES)('in the trailer: %s', async (value) => {
      const trailer = `${name}: ${value}`
      const part = message('bytes 4-9/10', 'EFGHIJ')
      const parts = multipart(['bytes 4-9/10', 'EFGHIJ'])

      expect(await outcome('PATCH', 'I(4/10)', [MESSAGE], part, trailer)).toEqual(refused)
      expect(await outcome('PATCH', 'C(10)', [MULTIPART], parts, trailer)).toEqual(refused)
      expect(await outcome('PUT', 'C(10)', [], 'new', trailer)).toEqual(refused)
    })
  })
})
