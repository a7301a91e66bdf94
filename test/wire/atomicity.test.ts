/** The versions that a reader sees while a patch arrives, and `Prefer: transaction`. */
import { memoryLocker } from 'partial-upload'
import { describe, expect, it } from 'vitest'

import {
  CHUNKED,
  MESSAGE,
  MULTIPART,
  chunk,
  field,
  message,
  multipart,
  request,
} from '../support/wire/client.ts'
import { BOTH, letters, useServer } from '../support/wire/server.ts'
import { withTimes } from '../support/storage/lock-times.ts'

const PARTS = multipart(['bytes 0-0/10', 'A'], ['bytes 4-9/10', 'EFGHIJ'])

/** Patches that are applied at once, cut at half of their data. */
const ATOMIC: readonly (readonly [string, string, readonly string[], Buffer, number, string])[] = [
  ['one message', 'C(10)', [MESSAGE], message('bytes 0-9/10', 'ABCDEFGHIJ'), 204, 'ABCDEFGHIJ'],
  [
    'one message that appends',
    'C(10)',
    [MESSAGE],
    message('bytes 10-13/14', 'KLMN'),
    204,
    'abcdefghijKLMN',
  ],
  [
    'one message that reopens',
    'C(10)',
    [MESSAGE],
    message('bytes 8-13/20', 'IJKLMN'),
    202,
    'abcdefghIJKLMN',
  ],
  ['a multipart', 'C(10)', [MULTIPART], PARTS, 204, 'AbcdEFGHIJ'],
  ['a multipart', 'I(4/10)', [MULTIPART], PARTS, 201, 'AbcdEFGHIJ'],
  [
    'an atomic message',
    'I(4/10)',
    [MESSAGE, 'Prefer: transaction=atomic'],
    message('bytes 2-9/10', 'CDEFGHIJ'),
    201,
    'abCDEFGHIJ',
  ],
  [
    'a multipart',
    '∅',
    [MULTIPART],
    multipart(['bytes 0-1/9', 'AB'], ['bytes 2-3/9', 'CD']),
    202,
    'ABCD',
  ],
  [
    'an atomic message',
    '∅',
    [MESSAGE, 'Prefer: transaction=atomic'],
    message('bytes 0-5/9', 'ABCDEF'),
    202,
    'ABCDEF',
  ],
]

describe.each(BOTH)('over $name', (combination) => {
  const server = useServer(combination, {
    locker: withTimes(memoryLocker(), { wait: 100, stall: 60_000 }),
  })

  it.each(ATOMIC)(
    '%s to %s is invisible before it is complete: %j',
    async (_what, given, fields, document, status, bytes) => {
      const path = await server.given(given)
      const before = await server.snapshot(path)
      const writer = await server.connect()
      const half = document.length - 3
      writer.send(request('PATCH', path, [...fields, CHUNKED]), chunk(document.subarray(0, half)))

      // This request waits for the writer until it times out; the writer has reached its data by
      // then.
      await server.patch(path, 'bytes 99-99/*', 'x')
      const meanwhile = await server.snapshot(path)
      writer.send(chunk(document.subarray(half)), '0\r\n\r\n')
      const answer = await writer.answer()

      expect(meanwhile).toEqual(before)
      expect(answer.status).toBe(status)
      expect((await server.snapshot(path)).bytes).toBe(bytes)
    },
  )

  it.each([
    ['I(4/10)', 'bytes 4-5/10', 'atomic', 202, 'transaction=atomic'],
    ['∅', 'bytes 0-1/10', 'atomic', 202, 'transaction=atomic'],
    ['C(10)', 'bytes 1-2/10', 'atomic', 204, 'transaction=atomic'],
    ['I(4/10)', 'bytes 4-5/10', 'persist', 202, 'transaction=persist'],
    ['∅', 'bytes 0-1/10', 'persist', 202, 'transaction=persist'],
    ['C(10)', 'bytes 1-2/10', 'persist', 204, null],
    ['I(4/10)', 'bytes 4-5/10', 'magic', 202, null],
  ])('%s "%s" that prefers %s is answered %i, %s', async (given, range, value, status, applied) => {
    const path = await server.given(given)

    const answer = await server.patch(path, range, 'XY', `Prefer: transaction=${value}`)

    expect(answer.status).toBe(status)
    expect(field(answer, 'preference-applied')).toBe(applied)
  })

  it('a multipart that prefers persist does not claim it', async () => {
    const path = await server.given('I(4/10)')

    const fields = [MULTIPART, 'Prefer: transaction=persist']
    const answer = await server.send('PATCH', path, fields, PARTS)

    expect([answer.status, field(answer, 'preference-applied')]).toEqual([201, null])
  })

  it('a patch without a preference has no Preference-Applied', async () => {
    const answer = await server.patch(await server.given('I(4/10)'), 'bytes 4-5/10', 'EF')

    expect(field(answer, 'preference-applied')).toBeNull()
  })

  it.each([
    ['Prefer: transaction="atomic"'],
    ['Prefer: Transaction=atomic'],
    ['Prefer: respond-async, transaction=atomic; a=b, wait=10'],
    ['prefer: wait=10', 'Prefer: transaction=atomic'],
    ['Prefer: transaction=atomic', 'Prefer: transaction=atomic'],
  ])('the preference is read in all its spellings: %s %s', async (...fields) => {
    const path = await server.given('I(4/10)')

    const answer = await server.patch(path, 'bytes 4-5/10', 'EF', ...fields)

    expect(answer.status).toBe(202)
    expect(field(answer, 'preference-applied')).toBe('transaction=atomic')
  })

  it('an atomic segment that turns out too short is rolled back', async () => {
    const path = await server.given('I(4/10)')
    const before = await server.snapshot(path)
    const writer = await server.connect()

    writer.send(request('PATCH', path, [MESSAGE, CHUNKED, 'Prefer: transaction=atomic']))
    writer.send(chunk(message('bytes 2-9/10', 'CDEF')), '0\r\n\r\n')

    expect((await writer.answer()).status).toBe(400)
    expect(await server.snapshot(path)).toEqual(before)
  })
})

describe.each(BOTH)('a reader over $name', (combination) => {
  const server = useServer(combination)
  const size = 8 << 20

  it('that has begun reads the old version while a patch replaces it', async () => {
    const path = server.path()
    await server.patch(path, `bytes 0-${size - 1}/${size}`, 'a'.repeat(size))
    const tag = await server.etag(path)
    const reader = await server.connectSocket()
    reader.socket.once('data', () => reader.socket.pause())
    reader.send(request('GET', path))
    await new Promise((resolve) => reader.socket.once('pause', resolve))

    const patched = await server.patch(path, `bytes 0-${size - 1}/${size}`, 'b'.repeat(size))
    reader.socket.resume()
    const answer = await reader.answer()

    expect([patched.status, answer.status]).toEqual([204, 200])
    expect(field(answer, 'etag')).toBe(tag)
    expect(answer.body.equals(Buffer.alloc(size, 'a'))).toBe(true)
    expect((await server.send('GET', path)).body.equals(Buffer.alloc(size, 'b'))).toBe(true)
  })

  it('sees one version while many patches replace it', async () => {
    const path = server.path()
    const pages = 4096
    await server.patch(path, `bytes 0-${pages - 1}/${pages}`, 'a'.repeat(pages))
    const write = async () => {
      for (const letter of letters(20)) {
        await server.patch(path, `bytes 0-${pages - 1}/${pages}`, letter.repeat(pages))
      }
    }
    const tags = new Map<string, string>()
    const read = async () => {
      for (let count = 0; count < 40; count += 1) {
        const answer = await server.send('GET', path)
        const bytes = answer.body.toString()
        const tag = field(answer, 'etag') ?? ''

        expect(bytes).toBe(bytes.charAt(0).repeat(pages))
        expect(tags.get(tag) ?? bytes).toBe(bytes)
        tags.set(tag, bytes)
      }
    }

    await Promise.all([write(), read(), read()])

    expect(tags.size).toBeGreaterThan(0)
  })
})
