/** Digests of the trailer and of part headers (RFC 9530), which count as those of the header. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { fsStorage } from 'partial-upload/storage/fs'
import { memoryStorage } from 'partial-upload/storage/memory'
import { afterAll, describe, expect, it } from 'vitest'

import { digest } from '../support/digest.ts'
import { WatchedStorage } from '../support/watched-storage.ts'

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
import type { Bytes } from '../support/wire/client.ts'
import { CORNERS, useServer } from '../support/wire/server.ts'

const WRONG = digest('something else')
const ANNOUNCED = [CHUNKED, 'Trailer: Content-Digest']

/** Chunked content with trailer fields. */
function withTrailer(content: Bytes, ...lines: readonly string[]): Buffer {
  const trailer = lines.map((line) => `${line}\r\n`).join('')
  return Buffer.concat([chunk(content), toBuffer(`0\r\n${trailer}\r\n`)])
}

/** A message whose part has a further field. */
function messageWith(line: string, contentRange: string, data: string): string {
  return `${line}\r\nContent-Range: ${contentRange}\r\n\r\n${data}`
}

describe.each(CORNERS)('over $name', (combination) => {
  const server = useServer(combination)
  const document = message('bytes 4-9/10', 'EFGHIJ')

  describe.each([
    ['announced', ANNOUNCED],
    ['unannounced', [CHUNKED]],
  ])('an %s Content-Digest in the trailer', (_how, coding) => {
    it.each([
      ['sha-256', digest(document)],
      ['sha-512', digest(document, 'sha-512')],
      ['an unknown algorithm', 'crc99=:AAAA:'],
    ])('completes an upload if it is right: %s', async (_what, value) => {
      const path = await server.given('I(4/10)')

      const body = withTrailer(document, `Content-Digest: ${value}`)
      const answer = await server.send('PATCH', path, [MESSAGE, ...coding], body)

      expect(answer.status).toBe(201)
      expect(await server.snapshot(path)).toMatchObject({ state: 'C(10)', bytes: 'abcdEFGHIJ' })
    })

    it.each([
      ['of other bytes', WRONG, 'ERR_CONTENT_DIGEST'],
      ['of other bytes, sha-512', digest('', 'sha-512'), 'ERR_CONTENT_DIGEST'],
      ['of the data alone', digest('EFGHIJ'), 'ERR_CONTENT_DIGEST'],
      ['malformed', 'sha-256=abc', 'ERR_FIELD'],
      ['too short', 'sha-256=:AAAA:', 'ERR_FIELD'],
    ])('keeps nothing of a segment if it is wrong: %s', async (_what, value, code) => {
      for (const given of ['I(4/10)', 'C(10)']) {
        const path = await server.given(given)
        const before = await server.snapshot(path)

        const body = withTrailer(document, `Content-Digest: ${value}`)
        const answer = await server.send('PATCH', path, [MESSAGE, ...coding], body)

        expect(json(answer)).toMatchObject({ status: 400, code })
        expect(await server.snapshot(path)).toMatchObject({
          state: before.state,
          bytes: before.bytes,
        })
      }
    })

    it('creates nothing if it is wrong', async () => {
      const path = server.path()

      const body = withTrailer(message('bytes 0-3/4', 'abcd'), `Content-Digest: ${WRONG}`)
      const answer = await server.send('PATCH', path, [MESSAGE, ...coding], body)

      expect([answer.status, await server.state(path)]).toEqual([400, '∅'])
    })

    it.each([
      [digest('abcd'), 201, 'C(4)'],
      [digest('abcd', 'sha-512'), 201, 'C(4)'],
      [WRONG, 400, '∅'],
    ])('is verified for a PUT: %s', async (value, status, state) => {
      const path = server.path()

      const body = withTrailer('abcd', `Content-Digest: ${value}`)
      const answer = await server.send('PUT', path, coding, body)

      expect([answer.status, await server.state(path)]).toEqual([status, state])
    })

    it('is verified for a multipart whose parts overlap', async () => {
      const parts = multipart(['bytes 0-3/4', 'abcd'], ['bytes 1-2/4', 'BC'])
      for (const [value, status, state] of [
        [digest(parts), 201, 'C(4)'],
        [WRONG, 400, '∅'],
      ] as const) {
        const path = server.path()

        const body = withTrailer(parts, `Content-Digest: ${value}`)
        const answer = await server.send('PATCH', path, [MULTIPART, ...coding], body)

        expect([answer.status, await server.state(path)]).toEqual([status, state])
      }
    })

    it.each([
      [digest(document), WRONG],
      [WRONG, digest(document)],
    ])('and one in the header must both hold: %s, %s', async (inHeader, inTrailer) => {
      const path = await server.given('I(4/10)')

      const fields = [MESSAGE, ...coding, `Content-Digest: ${inHeader}`]
      const body = withTrailer(document, `Content-Digest: ${inTrailer}`)
      const answer = await server.send('PATCH', path, fields, body)

      expect([answer.status, await server.state(path)]).toEqual([400, 'I(4/10)'])
    })
  })

  describe('a Repr-Digest in the trailer', () => {
    it.each([
      ['alone', [], digest('abcdEFGHIJ'), 201],
      ['sha-512', [], digest('abcdEFGHIJ', 'sha-512'), 201],
      ['alone and wrong', [], WRONG, 409],
      ['beside another algorithm', [digest('abcdEFGHIJ')], digest('abcdEFGHIJ', 'sha-512'), 201],
      ['right beside a wrong one', [WRONG], digest('abcdEFGHIJ'), 409],
      ['wrong beside a right one', [digest('abcdEFGHIJ')], WRONG, 409],
      ['malformed', [], 'sha-256=abc', 400],
    ])('is verified at completion: %s', async (_what, inHeader, inTrailer, status) => {
      const path = await server.given('I(4/10)')

      const header = inHeader.map((value) => `Repr-Digest: ${value}`)
      const body = withTrailer(document, `Repr-Digest: ${inTrailer}`)
      const answer = await server.send('PATCH', path, [MESSAGE, CHUNKED, ...header], body)

      expect(answer.status).toBe(status)
      if (status === 201) expect(await server.state(path)).toBe('C(10)')
      else expect(await server.state(path)).not.toMatch(/^C/)
    })

    it.each([
      [digest('abcd'), [], 201, 'C(4)'],
      [digest('abcd', 'sha-512'), [digest('abcd')], 201, 'C(4)'],
      [WRONG, [], 409, '∅'],
      [WRONG, [digest('abcd')], 409, '∅'],
    ])('is verified for a PUT: %s, %s', async (value, inHeader, status, state) => {
      const path = server.path()

      const header = inHeader.map((other) => `Repr-Digest: ${other}`)
      const body = withTrailer('abcd', `Repr-Digest: ${value}`)
      const answer = await server.send('PUT', path, [CHUNKED, ...header], body)

      expect([answer.status, await server.state(path)]).toEqual([status, state])
    })
  })

  describe('a Content-Digest of a part', () => {
    it.each([
      ['sha-256', digest('EFGHIJ')],
      ['sha-512', digest('EFGHIJ', 'sha-512')],
      ['an unknown algorithm', 'crc99=:AAAA:'],
    ])('covers the data of a message: %s', async (_what, value) => {
      const path = await server.given('I(4/10)')

      const body = messageWith(`Content-Digest: ${value}`, 'bytes 4-9/10', 'EFGHIJ')
      const answer = await server.send('PATCH', path, [MESSAGE], body)

      expect([answer.status, await server.state(path)]).toEqual([201, 'C(10)'])
    })

    it.each([
      ['of other bytes', WRONG, 'ERR_CONTENT_DIGEST'],
      ['malformed', 'sha-256=abc', 'ERR_FIELD'],
    ])('keeps nothing of a message if it is wrong: %s', async (_what, value, code) => {
      for (const coding of [[], [CHUNKED]]) {
        const path = await server.given('I(4/10)')
        const before = await server.snapshot(path)
        const text = messageWith(`Content-Digest: ${value}`, 'bytes 4-9/10', 'EFGHIJ')

        const body = coding.length === 0 ? text : withTrailer(text)
        const answer = await server.send('PATCH', path, [MESSAGE, ...coding], body)

        expect(json(answer)).toMatchObject({ status: 400, code })
        expect(await server.snapshot(path)).toEqual(before)
      }
    })

    it.each([
      ['both right', digest('abcd'), digest('efgh'), 201, 'C(8)'],
      ['the first wrong', WRONG, digest('efgh'), 400, '∅'],
      ['the last wrong', digest('abcd'), WRONG, 400, '∅'],
      ['that of the other part', digest('efgh'), digest('abcd'), 400, '∅'],
    ])('covers the data of its part: %s', async (_what, first, last, status, state) => {
      const part = (value: string, range: string, data: string): string =>
        `--SEP\r\nContent-Digest: ${value}\r\nContent-Range: ${range}\r\n\r\n${data}\r\n`
      const text = `${part(first, 'bytes 0-3/8', 'abcd')}${part(last, 'bytes 4-7/8', 'efgh')}--SEP--`
      for (const coding of [[], [CHUNKED]]) {
        const path = server.path()

        const body = coding.length === 0 ? text : withTrailer(text)
        const answer = await server.send('PATCH', path, [MULTIPART, ...coding], body)

        expect([answer.status, await server.state(path)]).toEqual([status, state])
      }
    })
  })
})

describe.each(CORNERS)('a cut after the data was written, over $name', (combination) => {
  const directory = mkdtempSync(join(tmpdir(), 'partial-upload-trailer-'))
  const storage = new WatchedStorage(
    combination.store === 'fs' ? fsStorage({ directory, fsync: 'never' }) : memoryStorage(),
  )
  const server = useServer(combination, { storage })
  afterAll(() => rmSync(directory, { recursive: true }))

  it.each([
    ['keeps it where no digest covers it', [], '', 'I(7/10)'],
    ['keeps nothing of it below an announced digest', ['Trailer: Content-Digest'], '', 'I(4/10)'],
    [
      'keeps nothing of it below the digest of a part',
      [],
      `Content-Digest: ${digest('EFGHIJ')}\r\n`,
      'I(4/10)',
    ],
    ['keeps it beside a Repr-Digest', [`Repr-Digest: ${WRONG}`], '', 'I(7/10)'],
    ['keeps it where a Repr-Digest is announced', ['Trailer: Repr-Digest'], '', 'I(7/10)'],
    ['keeps it beside the Repr-Digest of a part', [], `Repr-Digest: ${WRONG}\r\n`, 'I(7/10)'],
  ])('%s', async (_what, fields, line, state) => {
    const path = await server.given('I(4/10)')
    storage.steps.length = 0
    const peer = await server.connect()

    peer.send(
      request('PATCH', path, [MESSAGE, CHUNKED, ...fields]),
      chunk(`${line}Content-Range: bytes 4-9/10\r\n\r\nEFG`),
    )
    await expect.poll(() => storage.steps).toContain('write')
    peer.close()
    await server.idle(path)

    expect(await server.state(path)).toBe(state)
  })
})
