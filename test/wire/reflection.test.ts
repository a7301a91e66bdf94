/** An error repeats no text of the client, and a stored value adds no field to an answer. */
import { describe, expect, it } from 'vitest'
import { RefusedError } from 'partial-upload'

import { ERRORS } from '../../src/errors.ts'
import {
  CHUNKED,
  MESSAGE,
  MULTIPART,
  field,
  json,
  message,
  multipart,
} from '../support/wire/client.ts'
import type { Answer, Bytes } from '../support/wire/client.ts'
import { BOTH, FS, MEMORY, useServer } from '../support/wire/server.ts'
import type { TestServer } from '../support/wire/server.ts'

const MARKER = 'Zq7Marker'
/** Fields that no request here depends on. */
const EVERYWHERE = [
  'X-Note',
  'User-Agent',
  'Referer',
  'Cookie',
  'Origin',
  'Accept',
  'Prefer',
  'Forwarded',
].map((name) => `${name}: ${MARKER}`)
const WRONG = `sha-256=:${btoa(MARKER.padEnd(32, 'x'))}:`

type Row = readonly [
  code: string,
  method: string,
  given: string,
  fields: readonly string[],
  body?: Bytes,
]

const RANGE = 'Content-Range: bytes 0-0/10\r\n'
const ROWS: readonly Row[] = [
  ['ERR_FIELD', 'PATCH', '∅', [`Content-Type: multipart/byteranges; boundary="${MARKER}@"`], 'x'],
  ['ERR_FIELD', 'PATCH', '∅', [`Content-Type: multipart/byteranges; ${MARKER}`], 'x'],
  ['ERR_FIELD', 'PATCH', '∅', [MESSAGE, `Content-Type: ${MARKER}/x`], 'x'],
  ['ERR_FIELD', 'PATCH', '∅', [MESSAGE, `Content-Digest: ${MARKER}`], 'x'],
  ['ERR_FIELD', 'PATCH', '∅', [MESSAGE, `Repr-Digest: sha-256=:${btoa(MARKER)}:`], 'x'],
  ['ERR_FIELD', 'PATCH', '∅', [MESSAGE], `Repr-Digest: ${MARKER}\r\n${RANGE}\r\nx`],
  ['ERR_FIELD', 'PUT', '∅', [`Content-Type: ${MARKER}`], 'x'],
  ['ERR_RANGE', 'PUT', '∅', [`Content-Range: ${MARKER}`], 'x'],
  ['ERR_SYNTAX', 'PATCH', '∅', [MESSAGE], `${MARKER}\r\n\r\nx`],
  ['ERR_SYNTAX', 'PATCH', '∅', [MESSAGE], `${MARKER} : x\r\n\r\nx`],
  ['ERR_SYNTAX', 'PATCH', '∅', [MESSAGE], `${MARKER} /a HTTP/1.1\r\n\r\nx`],
  ['ERR_SYNTAX', 'PATCH', '∅', [MESSAGE], `X: ${MARKER}\n\r\nx`],
  ['ERR_SYNTAX', 'PATCH', '∅', [MESSAGE], `Content-Type: ${MARKER}\r\n${RANGE}\r\nx`],
  ['ERR_SYNTAX', 'PATCH', '∅', [MESSAGE], `Content-Length: ${MARKER}\r\n${RANGE}\r\nx`],
  ['ERR_SYNTAX', 'PATCH', '∅', ['Content-Type: multipart/byteranges'], `${MARKER}\r\nx`],
  ['ERR_SYNTAX', 'PATCH', '∅', [`Content-Type: multipart/byteranges; boundary=${MARKER}`], 'x'],
  ['ERR_RANGE', 'PATCH', '∅', [MESSAGE], message(`bytes ${MARKER}`, 'x')],
  ['ERR_RANGE', 'PATCH', '∅', [MESSAGE], `Range: bytes=${MARKER}\r\n\r\nx`],
  ['ERR_RANGE', 'PATCH', '∅', [MESSAGE], `X: ${MARKER}\r\n\r\nx`],
  ['ERR_RANGE_UNIT', 'PATCH', '∅', [MESSAGE], message(`${MARKER} 0-0/1`, 'x')],
  ['ERR_PART_CODING', 'PATCH', '∅', [MESSAGE], `Content-Encoding: ${MARKER}\r\n${RANGE}\r\nx`],
  ['ERR_LENGTH', 'PATCH', '∅', [MESSAGE], message('bytes 0-0/1', MARKER)],
  ['ERR_LENGTH', 'PATCH', '∅', [MULTIPART], multipart(['bytes 0-99/100', MARKER])],
  ['ERR_PATCH_LIMIT', 'PATCH', '∅', [MESSAGE], `X: ${MARKER.repeat(1000)}\r\n\r\nx`],
  ['ERR_PATCH_LIMIT', 'PATCH', '∅', [MESSAGE], `${`${MARKER}: x\r\n`.repeat(100)}\r\n`],
  ['ERR_SIZE_LIMIT', 'PATCH', '∅', [MESSAGE], message('bytes 0-8/5000', MARKER)],
  ['ERR_CONTENT_LIMIT', 'PUT', '∅', [], MARKER.repeat(1000)],
  ['ERR_CONTENT_DIGEST', 'PUT', '∅', [`Content-Digest: ${WRONG}`], MARKER],
  ['ERR_REPR_DIGEST', 'PUT', '∅', [`Repr-Digest: ${WRONG}`], MARKER],
  ['ERR_NOT_FOUND', 'PATCH', '∅', [MESSAGE], message('bytes 5-13/20', MARKER)],
  ['ERR_NOT_FOUND', 'DELETE', '∅', []],
  ['ERR_METHOD', 'POST', '∅', [], MARKER],
  ['ERR_GAP', 'PATCH', 'I(4/20)', [MESSAGE], message('bytes 5-13/20', MARKER)],
  ['ERR_COMPLETE_LENGTH', 'PATCH', 'I(4/20)', [MESSAGE], message('bytes 4-12/21', MARKER)],
  ['ERR_PRECONDITION', 'PATCH', 'C(10)', [MESSAGE, `If-Match: "${MARKER}"`], 'x'],
  ['ERR_PRECONDITION', 'GET', 'C(10)', [`If-Match: "${MARKER}"`]],
  ['ERR_MEDIA_TYPE', 'PATCH', '∅', [`Content-Type: ${MARKER}/${MARKER}`], 'x'],
  ['ERR_MEDIA_TYPE', 'PUT', '∅', [`Content-Type: message/byteranges; a=${MARKER}`], 'x'],
  ['ERR_CONTENT_CODING', 'PUT', '∅', [`Content-Encoding: ${MARKER}`], 'x'],
  ['ERR_TRANSFER_CODING', 'PUT', '∅', [`Transfer-Encoding: ${MARKER}, chunked`], '0\r\n\r\n'],
  ['ERR_UNSATISFIABLE', 'GET', 'C(10)', ['Range: bytes=99-']],
]

/**
 * Codes that need another set-up (see below), or whose check comes before any byte of the request
 * is read.
 */
const ELSEWHERE = ['ERR_KEY', 'ERR_KEY_CONFLICT', 'ERR_PRECONDITION_REQUIRED', 'ERR_REFUSED']
const BEFORE_READING = [
  'ERR_HEADER_LIMIT',
  'ERR_BUSY',
  'ERR_TOO_MANY_UPLOADS',
  'ERR_CLOSING',
  'ERR_QUOTA',
  'ERR_LOCKED',
]
const BY_TIME_OR_DISK = [
  'ERR_IDLE',
  'ERR_TOO_SLOW',
  'ERR_CONFLICT',
  'ERR_INTERRUPTED',
  'ERR_STORAGE_FULL',
  'ERR_STORAGE_UNAVAILABLE',
]

describe.each(BOTH)('over $name, an error', (combination) => {
  const server = useServer(combination, { maxSize: 4000, maxParts: 8 })

  it.each(ROWS.map((row) => ({ code: row[0], method: row[1], given: row[2], row })))(
    '$code of $method to $given does not repeat the request',
    async ({ row }) => {
      const [code, method, given, fields, body = ''] = row
      const path = await withMarker(server, given)

      const answer = await server.send(method, path, [...fields, ...EVERYWHERE], body)

      expect(json(answer).code).toBe(code)
      expectNoMarker(answer)
    },
  )

  it.each(['%00', '%2F', '%0D%0AX-Injected:%20yes', '%FF', '/../x', '\\x', '%5C'])(
    'ERR_KEY of a path with %s does not repeat it',
    async (piece) => {
      const answer = await server.send('GET', `/files/${MARKER}${piece}${MARKER}`)

      expect(json(answer).code).toBe('ERR_KEY')
      expectNoMarker(answer)
    },
  )
})

it('every code of the table is tested', () => {
  const codes = [...ROWS.map(([code]) => code), ...ELSEWHERE, ...BEFORE_READING, ...BY_TIME_OR_DISK]

  expect([...new Set(codes)].sort()).toEqual(Object.keys(ERRORS).sort())
})

describe('a name that clashes', () => {
  const server = useServer(FS)

  it('is not repeated', async () => {
    await server.send('PUT', `/files/${MARKER}`, [], 'x')

    const answer = await server.send('PUT', `/files/${MARKER}/${MARKER}`, [], 'x')

    expect(json(answer).code).toBe('ERR_KEY_CONFLICT')
    expectNoMarker(answer)
  })
})

describe('a missing precondition', () => {
  const server = useServer(MEMORY, { requirePreconditions: true })

  it('does not repeat the request', async () => {
    const answer = await server.send('PUT', `/files/${MARKER}`, EVERYWHERE, MARKER)

    expect(json(answer).code).toBe('ERR_PRECONDITION_REQUIRED')
    expectNoMarker(answer)
  })
})

describe('a refusal of the app', () => {
  const server = useServer(MEMORY, {
    onCreate: () => {
      throw new RefusedError(422, 'the app says so')
    },
  })

  it('does not repeat the request', async () => {
    const answer = await server.send('PUT', `/files/${MARKER}`, EVERYWHERE, MARKER)

    expect(json(answer)).toMatchObject({ code: 'ERR_REFUSED', detail: 'the app says so' })
    expectNoMarker(answer)
  })
})

const INJECTIONS = [
  'text/plain\r\nX-Injected: yes',
  'text/plain; a="\r\nX-Injected: yes"',
  'text/plain; a="\n X-Injected: yes"',
  'text/plain; a="\rX-Injected: yes"',
  'text/plain; a="\0"',
  'text/plain; a="\x7f"',
  'text/plain; a="\x1b[2J"',
  'text/plain; a="\xe9"',
  'text/plain\r\n X-Injected: yes',
  `text/plain; a="${'x'.repeat(300)}"`,
]

describe.each(BOTH)('over $name, a stored type', (combination) => {
  const server = useServer(combination)

  it.each(INJECTIONS)('%j adds no field, whichever way it comes', async (type) => {
    for (const send of [putTyped, patchTyped, multipartTyped]) {
      const path = server.path()
      const answer = await send(server, path, type)
      const stored = await server.send('GET', path)
      const ranges = await server.send('GET', path, ['Range: bytes=0-0,2-2'])

      // Only a line end without a fold ends the field, so that the rest is a field of the request.
      const expected = type === INJECTIONS[0] ? 'text/plain' : null
      expect(field(stored, 'content-type')).toBe(expected)
      for (const sent of [answer, stored, ranges]) {
        expect(field(sent, 'x-injected')).toBeNull()
        expect(sent.body.toString()).not.toContain('X-Injected')
      }
    }
  })

  it('comes back as it was sent, in one field', async () => {
    const type = 'text/plain; a="b;c=\\"d\\""; e=f'
    for (const send of [putTyped, patchTyped, multipartTyped]) {
      const path = server.path()
      await send(server, path, type)

      const whole = await server.send('GET', path)
      const ranges = await server.send('GET', path, ['Range: bytes=0-0,2-2'])

      expect(field(whole, 'content-type')).toBe(type)
      expect(ranges.body.toString()).toContain(
        `\r\nContent-Type: ${type}\r\nContent-Range: bytes 0-`,
      )
    }
  })

  it('of a PUT can be sent back in the parts of a patch', async () => {
    const path = server.path()
    const typed = await putTyped(server, path, 'text/plain; a="b"')
    const ranges = await server.send('GET', path, ['Range: bytes=0-0,2-2'])

    const type = `Content-Type: ${field(ranges, 'content-type')}`
    const again = await server.send('PATCH', path, [type], ranges.body)

    expect([typed.status, again.status]).toEqual([201, 204])
  })
})

describe('the fields of an answer', () => {
  const server = useServer(MEMORY)

  it('hold no text of the client except the type and the length', async () => {
    const path = await withMarker(server, '∅')
    const created = await server.send('PUT', path, EVERYWHERE, MARKER)
    const etag = field(created, 'etag')
    const changed = await server.send(
      'PATCH',
      path,
      [MESSAGE, ...EVERYWHERE],
      message('0-0/*', 'x'),
    )

    expect(etag).toMatch(/^"[0-9A-Za-z._-]+"$/)
    expect([created.status, changed.status]).toEqual([201, 204])
    for (const answer of [created, changed]) expectNoMarker(answer)
  })
})

async function withMarker(server: TestServer, given: string): Promise<string> {
  const path = `${server.path()}-${MARKER}`
  const [, size, length = size] = /\((\d+)(?:\/(\d+))?\)/.exec(given) ?? []
  if (size !== undefined) {
    await server.patch(path, `bytes 0-${Number(size) - 1}/${length}`, 'x'.repeat(Number(size)))
  }
  return `${path}?${MARKER}=${MARKER}`
}

function expectNoMarker({ reason, fields, body }: Answer): void {
  const sent = [reason, ...fields.flat(), body.toString('latin1')].join('\n').toLowerCase()
  expect(sent).not.toContain(MARKER.toLowerCase())
  expect(sent).not.toContain('x-injected')
}

function putTyped(server: TestServer, path: string, type: string): Promise<Answer> {
  return server.send('PUT', path, [`Content-Type: ${type}`], 'abc')
}

function patchTyped(server: TestServer, path: string, type: string): Promise<Answer> {
  const body = `Content-Type: ${type}\r\nContent-Range: bytes 0-2/3\r\n\r\nabc`
  return server.send('PATCH', path, [MESSAGE, CHUNKED], toChunks(body))
}

function multipartTyped(server: TestServer, path: string, type: string): Promise<Answer> {
  const part = `Content-Type: ${type}\r\nContent-Range: bytes 0-2/3\r\n\r\nabc`
  return server.send('PATCH', path, [MULTIPART], `--SEP\r\n${part}\r\n--SEP--`)
}

function toChunks(body: string): string {
  return `${Buffer.byteLength(body, 'latin1').toString(16)}\r\n${body}\r\n0\r\n\r\n`
}
