/** GET and HEAD: the whole, ranges of it, and conditions. */
import { describe, expect, it } from 'vitest'

import { CHUNKED, MESSAGE, chunk, field, message, request } from '../support/wire/client.ts'
import { CORNERS, HTTP2, MEMORY, SHELLS, letters, useServer } from '../support/wire/server.ts'

/**
 * The bytes that GET returns for a range of `letters`. `null` stands for the whole, as without the
 * field.
 */
const RANGES: readonly (readonly [given: string, range: string, part: string | null])[] = [
  ['C(10)', 'bytes=0-3', 'bytes 0-3/10 abcd'],
  ['C(10)', 'bytes=4-4', 'bytes 4-4/10 e'],
  ['C(10)', 'bytes=8-', 'bytes 8-9/10 ij'],
  ['C(10)', 'bytes=-2', 'bytes 8-9/10 ij'],
  ['C(10)', 'bytes=-100', 'bytes 0-9/10 abcdefghij'],
  ['C(10)', 'bytes=8-100', 'bytes 8-9/10 ij'],
  ['C(10)', 'bytes=0-9', 'bytes 0-9/10 abcdefghij'],
  ['C(10)', 'bytes=0-', 'bytes 0-9/10 abcdefghij'],
  ['C(10)', 'BYTES=0-1', 'bytes 0-1/10 ab'],
  ['I(4/10)', 'bytes=0-1', 'bytes 0-1/* ab'],
  ['I(4/10)', 'bytes=2-', 'bytes 2-3/* cd'],
  ['I(4/10)', 'bytes=-3', 'bytes 1-3/* bcd'],
  ['I(4/10)', 'bytes=2-9', 'bytes 2-3/* cd'],
  ['I(4/*)', 'bytes=0-1', 'bytes 0-1/* ab'],
  ['C(10)', 'bytes=5-2', null],
  ['C(10)', 'bytes=20-12', null],
  ['C(10)', 'bytes=a-b', null],
  ['C(10)', 'bytes=', null],
  ['C(10)', 'bytes=-', null],
  ['C(10)', 'bytes=1', null],
  ['C(10)', 'bytes=1-2x', null],
  ['C(10)', 'bytes=0x1-0x2', null],
  ['C(10)', 'bytes 0-3', null],
  ['C(10)', 'bytes', null],
  ['C(10)', 'items=0-3', null],
  ['I(4/10)', 'bytes=5-2', null],
  ['I(4/10)', 'items=0-3', null],
  ['I(4/10)', 'bytes=0-0,2-3', null],
  ['I(0/10)', 'bytes=0-3', null],
  ['C(0)', 'bytes=a', null],
]

const UNSATISFIABLE: readonly (readonly [given: string, range: string, contentRange: string])[] = [
  ['C(10)', 'bytes=10-', 'bytes */10'],
  ['C(10)', 'bytes=10-20', 'bytes */10'],
  ['C(10)', 'bytes=-0', 'bytes */10'],
  ['C(10)', 'bytes=99999999999999999999-', 'bytes */10'],
  ['C(10)', 'bytes=10-10,20-20', 'bytes */10'],
  ['I(4/10)', 'bytes=4-', 'bytes */4'],
  ['I(4/10)', 'bytes=7-8', 'bytes */4'],
]

describe.each(SHELLS)('GET over $name', (combination) => {
  const server = useServer(combination)

  it.each(['∅', 'I(4/10)', 'I(0/10)', 'I(4/*)', 'C(10)', 'C(0)'])(
    'gives all of %s',
    async (given) => {
      const path = await server.given(given)
      const statuses: Readonly<Record<string, number>> = { '∅': 404, I: 299, C: 200 }
      const size = Number(/\d+/.exec(given)?.[0] ?? 0)

      const answer = await server.send('GET', path)

      expect(answer.status).toBe(statuses[given.charAt(0)])
      expect(answer.body.toString()).toBe(letters(size))
      expect(field(answer, 'content-length')).toBe(String(size))
    },
  )

  it.each(RANGES)('of %s with "%s" gives %s', async (given, range, part) => {
    const path = await server.given(given)
    const whole = await server.send('GET', path)

    const answer = await server.send('GET', path, [`Range: ${range}`])

    if (part === null) {
      expect(answer.status).toBe(whole.status)
      expect(answer.body).toEqual(whole.body)
      return
    }
    expect(answer.status).toBe(206)
    expect(`${field(answer, 'content-range')} ${answer.body.toString()}`).toBe(part)
    expect(field(answer, 'content-length')).toBe(String(answer.body.length))
    for (const name of ['etag', 'last-modified', 'accept-ranges', 'x-content-type-options']) {
      expect(field(answer, name)).toBe(field(whole, name))
    }
    if (given.startsWith('I')) expect(field(answer, 'cache-control')).toMatch(/no-store/)
  })

  it.each(UNSATISFIABLE)(
    'of %s with "%s" is answered 416 "%s"',
    async (given, range, contentRange) => {
      const path = await server.given(given)

      const answer = await server.send('GET', path, [`Range: ${range}`])

      expect(answer.status).toBe(416)
      expect(field(answer, 'content-range')).toBe(contentRange)
    },
  )

  it('of an absent resource with a range is answered 404', async () => {
    const answer = await server.send('GET', server.path(), ['Range: bytes=0-3'])

    expect([answer.status, field(answer, 'content-length')]).toEqual([404, '0'])
  })

  it('of an empty resource with a range is answered 200 or 416', async () => {
    const path = await server.given('C(0)')

    const answer = await server.send('GET', path, ['Range: bytes=0-3'])

    expect([200, 416]).toContain(answer.status)
  })

  it.each(['∅', 'I(4/10)', 'C(10)'])('as HEAD of %s ignores Range', async (given) => {
    const path = await server.given(given)
    const plain = await server.head(path)

    for (const range of ['bytes=0-1', 'bytes=99-', 'bytes=0-0,2-2']) {
      const answer = await server.send('HEAD', path, [`Range: ${range}`])

      expect(answer.status).toBe(plain.status)
      expect(field(answer, 'content-length')).toBe(field(plain, 'content-length'))
      expect(field(answer, 'content-range')).toBe(field(plain, 'content-range'))
    }
  })
})

describe.each(CORNERS)('GET over $name while a writer appends', (combination) => {
  const server = useServer(combination)
  const size = 8 << 20

  it('sends the bytes of one moment, as many as Content-Length announced', async () => {
    const path = server.path()
    await server.patch(path, `bytes 0-${size - 1}/*`, 'a'.repeat(size))
    const reader = await server.connect()
    await reader.stall(request('GET', path))

    const appended = await server.patch(path, `bytes ${size}-${size + 3}/*`, 'bbbb')
    reader.resume()
    const answer = await reader.answer()

    expect([answer.status, appended.status]).toEqual([299, 202])
    expect(field(answer, 'content-length')).toBe(String(answer.body.length))
    expect(answer.body.length).toBe(size)
  })

  it('neither waits for it nor revokes it', async () => {
    const path = await server.given('I(4/10)')
    const writer = await server.connect()
    writer.send(request('PATCH', path, [MESSAGE, CHUNKED]))
    writer.send(chunk(message('bytes 4-9/10', 'EF')))
    await server.becomes(path, 'I(6/10)')

    const get = await server.send('GET', path)
    writer.send(chunk('GHIJ'), '0\r\n\r\n')
    const written = await writer.answer()

    expect([get.status, get.body.toString()]).toEqual([299, 'abcdEF'])
    expect(written.status).toBe(201)
  })

  it('gives each state of the upload its own entity tag', async () => {
    const path = await server.given('I(4/10)')
    const tags = [await server.etag(path)]
    const writer = await server.connect()
    writer.send(request('PATCH', path, [MESSAGE, CHUNKED]))
    writer.send(chunk(message('bytes 4-9/10', 'EF')))
    await server.becomes(path, 'I(6/10)')
    tags.push(await server.etag(path))
    writer.send(chunk('GH'))
    await server.becomes(path, 'I(8/10)')
    tags.push(await server.etag(path))
    writer.send(chunk('IJ'), '0\r\n\r\n')
    tags.push(field(await writer.answer(), 'etag') ?? '')

    expect(new Set(tags).size).toBe(4)
  })

  it('returns a prefix that only grows', async () => {
    const path = server.path()
    const pieces = Array.from({ length: 100 }, (_, index) =>
      letters(26)
        .charAt(index % 26)
        .repeat(999),
    )
    const whole = pieces.join('')
    const writer = await server.connect()
    writer.send(request('PATCH', path, [MESSAGE, CHUNKED]))
    writer.send(chunk(message(`bytes 0-${whole.length - 1}/${whole.length}`)))
    const sizes: number[] = []

    for (const piece of pieces) {
      writer.send(chunk(piece))
      const { status, body } = await server.send('GET', path)
      if (status !== 299) continue
      expect(whole.startsWith(body.toString())).toBe(true)
      sizes.push(body.length)
    }

    expect((await writer.send('0\r\n\r\n').answer()).status).toBe(201)
    expect(sizes).toEqual(sizes.toSorted((a, b) => a - b))
    expect((await server.send('GET', path)).body.toString()).toBe(whole)
  })

  it('gives the old version of a resource that is deleted meanwhile', async () => {
    const path = server.path()
    await server.patch(path, `bytes 0-${size - 1}/${size}`, 'a'.repeat(size))
    const reader = await server.connect()
    await reader.stall(request('GET', path))

    const deleted = await server.send('DELETE', path)
    reader.resume()
    const answer = await reader.answer()

    expect(deleted.status).toBe(204)
    expect([answer.status, answer.body.length]).toEqual([200, size])
  })
})

describe.each([MEMORY, HTTP2])('GET over $name with a failed reader', (combination) => {
  const server = useServer(combination)

  it('leaves the server working', async () => {
    const size = 8 << 20
    const path = server.path()
    await server.patch(path, `bytes 0-${size - 1}/${size}`, 'a'.repeat(size))
    const reader = await server.connect()
    await reader.stall(request('GET', path))

    reader.destroy()

    expect(await server.state(path)).toBe(`C(${size})`)
  })
})
