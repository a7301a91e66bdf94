/** The headers of a patch that are accepted or refused in every state of the resource. */
import { describe, expect, it } from 'vitest'

import { CHUNKED, MESSAGE, MULTIPART, chunked, field, json } from '../support/wire/client.ts'
import { MEMORY, useServer } from '../support/wire/server.ts'

const RANGE = 'Content-Range: bytes 0-3/10\r\n'
const LONG_DIGITS = '9'.repeat(40)

/** Fault → the patch document and its status. All statuses but 422 are 400. */
const REFUSED: readonly (readonly [why: string, document: string, status?: number])[] = [
  ['nothing at all', ''],
  ['no blank line', 'Content-Range: bytes 0-3/10\r\n'],
  ['not even a line end', 'Content-Range: bytes 0-3/10'],
  ['a blank line first', '\r\nabcd'],
  ['no range', 'Content-Type: text/plain\r\n\r\nabcd'],
  ['two equal Content-Range lines', `${RANGE}${RANGE}\r\nabcd`],
  ['two Content-Range lines', `${RANGE}Content-Range: bytes 0-3/11\r\n\r\nabcd`],
  ['two ranges in one line', 'Content-Range: bytes 0-3/10, bytes 4-7/10\r\n\r\nabcd'],
  ['a list of ranges', 'Content-Range: bytes 0-1,2-3/10\r\n\r\nabcd'],
  ['Range and Content-Range that disagree', `${RANGE}Range: bytes 0-4/10\r\n\r\nabcd`],
  ['Range and Content-Range of other totals', `${RANGE}Range: bytes 0-3/11\r\n\r\nabcd`],
  ['Range and Content-Range of other starts', `${RANGE}Range: bytes=1-4\r\n\r\nabcd`],
  ['a Content-Offset that disagrees', `${RANGE}Content-Offset: 5\r\n\r\nabcd`],
  ['another unit', 'Content-Range: items 0-3/10\r\n\r\nabcd', 422],
  ['another unit in Range', 'Range: items 0-3/10\r\n\r\nabcd', 422],
  ['an equals sign and a total', 'Content-Range: bytes=0-3/10\r\n\r\nabcd'],
  ['an equals sign and a total in Range', 'Range: bytes=0-3/10\r\n\r\nabcd'],
  ['no total', 'Content-Range: bytes 0-3\r\n\r\nabcd'],
  ['an empty total', 'Content-Range: bytes 0-3/\r\n\r\nabcd'],
  ['an open range', 'Content-Range: bytes 0-/10\r\n\r\nabcd'],
  ['a suffix range', 'Content-Range: bytes -4/10\r\n\r\nabcd'],
  ['an open Range', 'Range: bytes=0-\r\n\r\nabcd'],
  ['a suffix Range', 'Range: bytes=-4\r\n\r\nabcd'],
  ['a Range of two', 'Range: bytes=0-1,2-3\r\n\r\nabcd'],
  ['a plus sign', 'Content-Range: bytes +0-3/10\r\n\r\nabcd'],
  ['a negative total', 'Content-Range: bytes 0-3/-10\r\n\r\nabcd'],
  ['hexadecimal digits', 'Content-Range: bytes 0x0-0x3/10\r\n\r\nabcd'],
  ['an exponent', 'Content-Range: bytes 0-3/1e1\r\n\r\nabcd'],
  ['a fraction', 'Content-Range: bytes 0-3/10.0\r\n\r\nabcd'],
  ['spaces around the dash', 'Content-Range: bytes 0 - 3/10\r\n\r\nabcd'],
  ['a space before the slash', 'Content-Range: bytes 0-3 /10\r\n\r\nabcd'],
  ['a space after the slash', 'Content-Range: bytes 0-3/ 10\r\n\r\nabcd'],
  ['a parameter', 'Content-Range: bytes 0-3/10;x=y\r\n\r\nabcd'],
  ['two stars', 'Content-Range: bytes */*\r\n\r\n'],
  ['an empty value', 'Content-Range:\r\n\r\nabcd'],
  ['a unit alone', 'Content-Range: bytes\r\n\r\nabcd'],
  ['an end before the start', 'Content-Range: bytes 3-0/10\r\n\r\nabcd'],
  ['an end at the total', 'Content-Range: bytes 0-3/3\r\n\r\nabcd'],
  ['an end past the total', 'Content-Range: bytes 0-3/2\r\n\r\nabcd'],
  ['a total above 2^53-1', 'Content-Range: bytes 0-3/9007199254740992\r\n\r\nabcd'],
  ['a start above 2^53-1', 'Content-Range: bytes 9007199254740992-9007199254740995/*\r\n\r\nabcd'],
  ['a total of forty digits', `Content-Range: bytes 0-3/${LONG_DIGITS}\r\n\r\nabcd`],
  ['a size above 2^53-1', 'Content-Range: bytes */9007199254740992\r\n\r\n'],
  ['an empty range before the end', 'Content-Range: bytes 3-2/10\r\n\r\n'],
  ['an empty range without a unit', 'Content-Range: 9-8/10\r\n\r\n'],
  ['data with an unsatisfied range', 'Content-Range: bytes */10\r\n\r\nabcd'],
  ['a Content-Length of letters', `${RANGE}Content-Length: four\r\n\r\nabcd`],
  ['a Content-Length with a sign', `${RANGE}Content-Length: +4\r\n\r\nabcd`],
  ['an empty Content-Length', `${RANGE}Content-Length:\r\n\r\nabcd`],
  ['two Content-Lengths', `${RANGE}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd`],
  ['a Content-Length that is not that of the range', `${RANGE}Content-Length: 5\r\n\r\nabcd`],
  ['a Transfer-Encoding', `${RANGE}Transfer-Encoding: chunked\r\n\r\nabcd`],
  ['a Content-Encoding', `${RANGE}Content-Encoding: gzip\r\n\r\nabcd`, 422],
  ['a Content-Type without a subtype', `${RANGE}Content-Type: text\r\n\r\nabcd`],
  ['a Content-Type with an empty subtype', `${RANGE}Content-Type: text/\r\n\r\nabcd`],
  ['a Content-Type with a space', `${RANGE}Content-Type: te xt/plain\r\n\r\nabcd`],
  ['a Content-Type with a bare parameter', `${RANGE}Content-Type: text/plain; x\r\n\r\nabcd`],
  ['a Content-Type outside ASCII', `${RANGE}Content-Type: text/pl\xe4in\r\n\r\nabcd`],
  ['a long Content-Type', `${RANGE}Content-Type: text/${'x'.repeat(300)}\r\n\r\nabcd`],
  ['a space in a name', `${RANGE}A B: c\r\n\r\nabcd`],
  ['a space before a colon', 'Content-Range : bytes 0-3/10\r\n\r\nabcd'],
  ['an empty name', `${RANGE}: c\r\n\r\nabcd`],
  ['a line without a colon', `${RANGE}abc\r\n\r\nabcd`],
  ['a bare CR', `${RANGE}A: b\rc\r\n\r\nabcd`],
  ['a NUL', `${RANGE}A: b\0c\r\n\r\nabcd`],
  ['a first line that begins with a space', ` ${RANGE}\r\nabcd`],
  ['bare LFs', 'Content-Range: bytes 0-3/10\n\nabcd'],
  ['one bare LF', `A: b\n${RANGE}\r\nabcd`],
  ['a start-line', `HTTP/1.1 206 Partial Content\r\n${RANGE}\r\nabcd`],
  ['fields of more than 8 KiB', `${RANGE}A: ${'b'.repeat(9000)}\r\n\r\nabcd`],
  ['8 KiB without an end', `A: ${'b'.repeat(20_000)}`],
  ['65 fields', `${RANGE}${'A: b\r\n'.repeat(64)}\r\nabcd`],
]

/** All of them write `abcd` at 0, of 10 or of an unknown total. */
const ACCEPTED: readonly (readonly [what: string, document: string, then: string])[] = [
  ['Content-Range', `${RANGE}\r\nabcd`, 'I(4/10)'],
  ['Range in the grammar of Content-Range', 'Range: bytes 0-3/10\r\n\r\nabcd', 'I(4/10)'],
  ['Range in its own grammar', 'Range: bytes=0-3\r\n\r\nabcd', 'I(4/*)'],
  ['Range and Content-Range that agree', `${RANGE}Range: bytes 0-3/10\r\n\r\nabcd`, 'I(4/10)'],
  ['a Range that does not declare the length', `${RANGE}Range: bytes=0-3\r\n\r\nabcd`, 'I(4/10)'],
  ['a unit in capitals', 'Content-Range: BYTES 0-3/10\r\n\r\nabcd', 'I(4/10)'],
  ['no unit', 'Content-Range: 0-3/10\r\n\r\nabcd', 'I(4/10)'],
  ['a name in capitals', 'CONTENT-RANGE: bytes 0-3/10\r\n\r\nabcd', 'I(4/10)'],
  ['two spaces after the unit', 'Content-Range: bytes  0-3/10\r\n\r\nabcd', 'I(4/10)'],
  ['a tab after the unit', 'Content-Range: bytes\t0-3/10\r\n\r\nabcd', 'I(4/10)'],
  ['space around the value', 'Content-Range: \t bytes 0-3/10 \t\r\n\r\nabcd', 'I(4/10)'],
  ['no space before the value', 'Content-Range:bytes 0-3/10\r\n\r\nabcd', 'I(4/10)'],
  ['leading zeros', 'Content-Range: bytes 000-003/00010\r\n\r\nabcd', 'I(4/10)'],
  ['a folded line', 'Content-Range: bytes\r\n 0-3/10\r\n\r\nabcd', 'I(4/10)'],
  ['a folded line of a tab', 'Content-Range:\r\n\tbytes 0-3/10\r\n\r\nabcd', 'I(4/10)'],
  ['a Content-Length', `${RANGE}Content-Length: 4\r\n\r\nabcd`, 'I(4/10)'],
  ['a Content-Encoding of identity', `${RANGE}Content-Encoding: identity\r\n\r\nabcd`, 'I(4/10)'],
  ['unknown fields', `X-One: 1\r\n${RANGE}X-Two:\r\n\r\nabcd`, 'I(4/10)'],
  ['unknown fields outside ASCII', `X: gr\xfc\xdfe\r\n${RANGE}\r\nabcd`, 'I(4/10)'],
  ['64 fields', `${RANGE}${'A: b\r\n'.repeat(63)}\r\nabcd`, 'I(4/10)'],
]

const REFUSALS = REFUSED.map(([why, document, status = 400]) => [why, document, status] as const)

const STATES = ['∅', 'I(4/10)', 'C(10)']

describe('the header of a patch', () => {
  const server = useServer(MEMORY)

  it.each(ACCEPTED)('may have %s', async (_what, document, then) => {
    const path = server.path()

    const answer = await server.send('PATCH', path, [MESSAGE], document)

    expect(answer.status).toBe(202)
    expect(await server.snapshot(path)).toMatchObject({ state: then, bytes: 'abcd' })
  })

  it.each(REFUSALS)('is refused for %s', async (_why, document, status) => {
    for (const state of STATES) {
      const path = await server.given(state)
      const before = await server.snapshot(path)

      const answer = await server.send('PATCH', path, [MESSAGE], document)

      expect(`${state} ${answer.status}`).toBe(`${state} ${status}`)
      expect(json(answer)).toMatchObject({ status })
      expect(await server.snapshot(path)).toEqual(before)
    }
  })
})

describe('the header of a patch that arrives byte by byte', () => {
  const server = useServer(MEMORY)

  it.each(ACCEPTED)('may have %s', async (_what, document, then) => {
    const path = server.path()

    const answer = await server.send('PATCH', path, [MESSAGE, CHUNKED], chunked(...document))

    expect(answer.status).toBe(202)
    expect(await server.snapshot(path)).toMatchObject({ state: then, bytes: 'abcd' })
  })

  it.each(REFUSALS)('is refused for %s', async (_why, document, status) => {
    const path = await server.given('I(4/10)')
    const before = await server.snapshot(path)

    const answer = await server.send('PATCH', path, [MESSAGE, CHUNKED], chunked(...document))

    expect(answer.status).toBe(status)
    expect(await server.snapshot(path)).toEqual(before)
  })
})

describe('the header of a part in a multipart', () => {
  const server = useServer(MEMORY)

  it.each(ACCEPTED)('may have %s', async (_what, document, then) => {
    const path = server.path()

    const body = `--SEP\r\n${document}\r\n--SEP--`
    const answer = await server.send('PATCH', path, [MULTIPART], body)

    expect(answer.status).toBe(202)
    expect(await server.snapshot(path)).toMatchObject({ state: then, bytes: 'abcd' })
  })

  it.each(REFUSALS)('is refused for %s', async (_why, document, status) => {
    const path = await server.given('I(4/10)')
    const before = await server.snapshot(path)

    const body = `--SEP\r\nContent-Range: bytes 4-4/10\r\n\r\nE\r\n--SEP\r\n${document}\r\n--SEP--`
    const answer = await server.send('PATCH', path, [MULTIPART], body)

    expect(answer.status).toBe(status)
    expect(await server.snapshot(path)).toEqual(before)
  })
})

describe('a total that only fits a double', () => {
  const server = useServer(MEMORY, { maxSize: Number.MAX_SAFE_INTEGER })

  it('is accepted up to 2^53-1', async () => {
    const path = server.path()

    const answer = await server.patch(path, 'bytes 0-3/9007199254740991', 'abcd')

    expect(answer.status).toBe(202)
    expect(field(await server.head(path), 'content-range')).toBe('bytes 0-3/9007199254740991')
  })
})

describe('the Content-Type of a part', () => {
  const server = useServer(MEMORY)
  const typed = (type: string, range: string, data: string) =>
    `Content-Type: ${type}\r\nContent-Range: ${range}\r\n\r\n${data}`

  it('becomes that of the resource', async () => {
    const path = server.path()

    await server.send('PATCH', path, [MESSAGE], typed('text/plain', 'bytes 0-3/6', 'abcd'))
    const incomplete = await server.send('GET', path)
    await server.patch(path, 'bytes 4-5/6', 'ef')
    const complete = await server.send('GET', path)

    expect(field(incomplete, 'content-type')).toBe('text/plain')
    expect(field(complete, 'content-type')).toBe('text/plain')
  })

  it('is application/octet-stream if neither a part nor the name of the resource gives one', async () => {
    const path = await server.given('C(4)')

    expect(field(await server.head(path), 'content-type')).toBe('application/octet-stream')
  })

  it.each(['text/plain; charset=utf-8', 'Text/HTML;charset="UTF-8"', 'a/b; c="d e"'])(
    'is kept with its parameters: %s',
    async (type) => {
      const path = server.path()

      await server.send('PATCH', path, [MESSAGE], typed(type, 'bytes 0-3/4', 'abcd'))

      const kept = field(await server.head(path), 'content-type') ?? ''
      expect(kept.replaceAll(' ', '').toLowerCase()).toBe(type.replaceAll(' ', '').toLowerCase())
    },
  )

  it('is replaced by a later one, and the entity tag with it', async () => {
    const path = server.path()
    await server.send('PATCH', path, [MESSAGE], typed('text/plain', 'bytes 0-3/4', 'abcd'))
    const before = await server.snapshot(path)

    const body = typed('text/css', 'bytes 0-3/4', 'abcd')
    const answer = await server.send('PATCH', path, [MESSAGE], body)

    const after = await server.snapshot(path)
    expect(answer.status).toBe(204)
    expect(after).toMatchObject({ contentType: 'text/css', bytes: 'abcd' })
    expect(after.etag).not.toBe(before.etag)
  })

  it('does not change the entity tag if it is the same', async () => {
    const path = server.path()
    const body = typed('text/plain', 'bytes 0-3/4', 'abcd')
    await server.send('PATCH', path, [MESSAGE], body)
    const before = await server.snapshot(path)

    const answer = await server.send('PATCH', path, [MESSAGE], body)

    expect(answer.status).toBe(204)
    expect(await server.snapshot(path)).toEqual(before)
  })

  it.each([
    ['text/plain', 'text/css', 400, '∅'],
    ['text/plain', 'text/plain', 201, 'C(4)'],
  ])('in one multipart of %s and %s gives %i', async (first, second, status, then) => {
    const path = server.path()
    const parts = [typed(first, 'bytes 0-1/4', 'ab'), typed(second, 'bytes 2-3/4', 'cd')]
    const body = `--SEP\r\n${parts.join('\r\n--SEP\r\n')}\r\n--SEP--`

    const answer = await server.send('PATCH', path, [MULTIPART], body)

    expect([answer.status, await server.state(path)]).toEqual([status, then])
  })
})
