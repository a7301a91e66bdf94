/** Requests up to the limits that cost a server the most for their size. */
import { CHUNKED, MESSAGE, chunk, message, request } from '../wire/client.ts'

/** Requests for one path, in order, each after the answer to the one before. */
export interface WorstInput {
  readonly name: string
  /** Not for the memory store, which copies a resource whole and is for small ones. */
  readonly isLarge?: boolean
  readonly requests: (path: string) => readonly Buffer[]
}

const MIB = 1024 * 1024
const LONG = '-'.repeat(70)
/** What Node takes in a head is 16 KiB; the rest of the head needs some. */
const FIELD_SIZE = 15_000

export const WORST_INPUTS: readonly WorstInput[] = [
  ...lookAlikes(),
  ...chunks(),
  ...parts(),
  ...partHeaders(),
  ...fields(),
  ...overlaps(),
]

/** Data, a preamble and an epilogue full of what begins as a delimiter does. */
function lookAlikes(): readonly WorstInput[] {
  const cases: readonly (readonly [name: string, boundary: string, piece: string])[] = [
    ['one dash too few', 'B', '\r\n--B-x'],
    ['a CR and no LF', 'B', '\r\n--B\r'],
    ['padding, then text', 'B', `\r\n--B${' '.repeat(254)}x`],
    ['a long boundary, and one more character', LONG, `\r\n--${LONG}x`],
    ['a long boundary without its end', LONG, `\r\n--${LONG.slice(1)}x`],
    ['a long boundary, one dash too few', LONG, `\r\n--${LONG}-x`],
    ['dashes', LONG, '-'],
    ['CR', 'B', '\r'],
    ['CRLF', 'B', '\r\n'],
    ['the end of the boundary', 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB', 'B'],
  ]
  return cases.flatMap(([name, boundary, piece]) => {
    const filler = repeat(piece, 8 * MIB)
    const one = part(boundary, '0-0/1', 'x')
    const end = `\r\n--${boundary}--\r\n`
    return [
      multipart(`data: ${name}`, boundary, [
        part(boundary, `0-${filler.length - 1}/*`, filler),
        end,
      ]),
      multipart(`preamble: ${name}`, boundary, [filler, '\r\n', one, end]),
      multipart(`epilogue: ${name}`, boundary, [one, end, filler]),
    ]
  })
}

/** Content in 100,000 chunks of one byte, and in a million. */
function chunks(): readonly WorstInput[] {
  return [100_000, 1_000_000].flatMap((count) => [
    {
      name: `${count} chunks of one byte`,
      requests: (path) => [
        Buffer.concat([
          request('PATCH', path, [MESSAGE, CHUNKED]),
          chunk(message(`bytes 0-${count - 1}/${count}`)),
          Buffer.from(`${'1\r\nx\r\n'.repeat(count)}0\r\n\r\n`),
        ]),
      ],
    },
    {
      name: `${count} chunks of one byte, stored already`,
      requests: (path) => [
        request('PATCH', path, [MESSAGE], message(`bytes 0-${count - 1}/*`, 'x'.repeat(count))),
        Buffer.concat([
          request('PATCH', path, [MESSAGE, CHUNKED]),
          chunk(message(`bytes 0-${count - 1}/*`)),
          Buffer.from(`${'1\r\nx\r\n'.repeat(count)}0\r\n\r\n`),
        ]),
      ],
    },
  ])
}

function parts(): readonly WorstInput[] {
  const end = '\r\n--B--'
  const all = (from: (index: number) => string) =>
    Array.from({ length: 128 }, (_, index) => from(index))
  const wide = (index: number) => `${header(8192 - 40)}Content-Range: bytes ${index}-${index}/128`
  return [
    multipart('128 parts of a byte', 'B', [
      ...all((index) => part('B', `${index}-${index}/128`, 'x')),
      end,
    ]),
    multipart('128 parts from the last to the first', 'B', [
      ...all((index) => part('B', `${127 - index}-${127 - index}/128`, 'x')),
      end,
    ]),
    multipart('128 parts with large headers', 'B', [
      ...all((index) => `\r\n--B\r\n${wide(index)}\r\n\r\nx`),
      end,
    ]),
  ]
}

/** Header blocks of a part of every length around the limit, and of the costliest lines. */
function partHeaders(): readonly WorstInput[] {
  const range = 'Content-Range: bytes 0-0/1\r\n'
  const space = 8192 - range.length
  const lines: readonly (readonly [name: string, block: string])[] = [
    ['a header one byte short of the limit', header(space - 1)],
    ['a header at the limit', header(space)],
    ['a header one byte beyond the limit', header(space + 1)],
    ['a fold for every space', `a: b${repeat('\r\n ', space - 6)}\r\n`],
    ['folds of spaces', `a: b${repeat(`\r\n${' '.repeat(500)}`, space - 6)}\r\n`],
    ['64 fields', `a: b\r\n`.repeat(63)],
    ['spaces without a colon', `${' a'.repeat(4000).trim()}\r\n`],
    ['spaces before a colon', `a${' '.repeat(8000)}x: b\r\n`],
    ['a digest of many members', `Repr-Digest: ${members(space - 15)}\r\n`],
    ['a type of many parameters', `Content-Type: a/b${parameters(space - 20)}\r\n`],
    ['codings', `Content-Encoding: ${repeat('identity,', space - 20)}\r\n`],
    ['almost codings', `Content-Encoding: ${repeat('identity ', space - 30)}x\r\n`],
    ['digits', `Content-Length: ${repeat('1', space - 20)}\r\n`],
  ]
  return lines.map(([name, block]) => ({
    name: `part: ${name}`,
    requests: (path) => [
      request('PATCH', path, [MESSAGE], `${block}${range}\r\nx`),
      request(
        'PATCH',
        path,
        ['Content-Type: multipart/byteranges; boundary=B'],
        `--B\r\n${block}${range}\r\nx\r\n--B--`,
      ),
    ],
  }))
}

/** Fields as long as Node takes them. */
function fields(): readonly WorstInput[] {
  const conditions = ['"a",', 'W/"a",', '"a', ' ,', '"a" ', '"a,"', 'W/', '\t \t,'].flatMap(
    (piece) => ['If-Match', 'If-None-Match'].map((name) => `${name}: ${repeat(piece, FIELD_SIZE)}`),
  )
  const lines = [
    ...conditions,
    ...['0-0,', '-1,', '0-,', ' ,', '1-0,', '9', '0-9999999999999999999999999,'].map(
      (piece) => `Range: bytes=${repeat(piece, FIELD_SIZE)}`,
    ),
    ...['a=b,', 'a;b;', 'a="', 'a="\\"', ' =', 'a ', 'transaction=x;', ',', ';'].map(
      (piece) => `Prefer: ${repeat(piece, FIELD_SIZE)}`,
    ),
    ...[
      'sha-256=:AA==:,',
      'a=:AA:;b;',
      'a=:AA:;b="\\"',
      'a=:',
      'A',
      'a=:AA:; ',
      'a=:AA:\t',
    ].flatMap((piece) => [
      `Content-Digest: ${repeat(piece, FIELD_SIZE)}`,
      `Repr-Digest: ${repeat(piece, FIELD_SIZE)}`,
    ]),
    `Content-Digest: ${members(FIELD_SIZE)}`,
    `Accept: ${repeat('a/b;q=0.1,', FIELD_SIZE)}`,
    `If-Range: ${repeat('"a', FIELD_SIZE)}`,
    `If-Modified-Since: ${repeat('Sun, ', FIELD_SIZE)}`,
    `If-Unmodified-Since: ${repeat(' 0', FIELD_SIZE)}`,
    `Content-Encoding: ${repeat('identity, ', FIELD_SIZE)}`,
  ]
  return [
    ...lines.map((line) => ({
      name: `field: ${line.slice(0, 40)}…`,
      requests: (path: string) => [
        request('PUT', path, [], 'abcdefghij'),
        request('PATCH', path, [MESSAGE, line], message('bytes 0-0/10', 'a')),
        request('PUT', path, [line], 'abcdefghij'),
        request('GET', path, [line]),
        request('DELETE', path, [line]),
      ],
    })),
    ...[
      parameters(FIELD_SIZE),
      ` ${repeat(';', FIELD_SIZE)}`,
      `;a="${repeat('\\"', FIELD_SIZE)}`,
      repeat(' ;', FIELD_SIZE),
      `; boundary=${repeat('a', FIELD_SIZE)}`,
    ].map((rest) => ({
      name: `field: Content-Type: …${rest.slice(0, 20)}…`,
      requests: (path: string) => [
        request('PATCH', path, [`Content-Type: multipart/byteranges${rest}`], 'x'),
        request('PUT', path, [`Content-Type: a/b${rest}`], 'x'),
      ],
    })),
    {
      name: 'a path of empty segments',
      requests: () => [request('GET', `/files/${'/'.repeat(FIELD_SIZE)}`)],
    },
    {
      name: 'a path of encoded bytes',
      requests: () => [request('PUT', `/files/${repeat('%61', FIELD_SIZE)}`, [], 'x')],
    },
    {
      name: 'a path of many segments',
      requests: () => [request('PUT', `/files/${repeat('a/', FIELD_SIZE)}a`, [], 'x')],
    },
  ]
}

/** Much data over what is stored, and many requests at once. */
function overlaps(): readonly WorstInput[] {
  const data = Buffer.alloc(16 * MIB, 'x')
  const range = `bytes 0-${data.length - 1}`
  return [
    {
      name: '16 MiB that are stored already, in an incomplete resource',
      requests: (path) => [
        request('PATCH', path, [MESSAGE], message(`${range}/*`, data)),
        request('PATCH', path, [MESSAGE], message(`${range}/*`, data)),
      ],
    },
    {
      name: '16 MiB that are stored already, in a finished resource',
      requests: (path) => [
        request('PUT', path, [], data),
        request('PATCH', path, [MESSAGE], message(`${range}/${data.length}`, data)),
      ],
    },
    {
      name: 'a byte in 64 MiB',
      isLarge: true,
      requests: (path) => [
        request('PUT', path, [], Buffer.alloc(64 * MIB)),
        request('PATCH', path, [MESSAGE], message('bytes 5-5/*', 'x')),
        request('PATCH', path, [MESSAGE], message(`bytes */${32 * MIB}`)),
        request('GET', path, [
          `Range: bytes=${Array.from({ length: 16 }, (_, at) => `${at * MIB}-${at * MIB + 99_999}`).join()}`,
        ]),
        request('DELETE', path),
      ],
    },
    {
      name: '16 MiB with digests',
      isLarge: true,
      requests: (path) => [
        request('PUT', path, [`Content-Digest: ${DIGESTS}`], data),
        request('PUT', path, [`Repr-Digest: ${DIGESTS}`], data),
      ],
    },
    {
      name: '2000 requests at once',
      requests: (path) => [
        Buffer.concat([...Array.from({ length: 2000 }, () => request('HEAD', path))]),
      ],
    },
  ]
}

const DIGESTS = `sha-256=:${btoa('x'.repeat(32))}:, sha-512=:${btoa('x'.repeat(64))}:`

function multipart(name: string, boundary: string, pieces: readonly string[]): WorstInput {
  const type = `Content-Type: multipart/byteranges; boundary="${boundary}"`
  return { name, requests: (path) => [request('PATCH', path, [type], pieces.join(''))] }
}

function part(boundary: string, range: string, data: string): string {
  return `\r\n--${boundary}\r\nContent-Range: bytes ${range}\r\n\r\n${data}`
}

/** One field line of the given size, its line end included. */
function header(size: number): string {
  return `a: ${'b'.repeat(size - 5)}\r\n`
}

function members(size: number): string {
  const list = Array.from({ length: Math.floor(size / 12) }, (_, index) => `a${index}=:AA==:`)
  return list
    .join(',')
    .slice(0, size)
    .replace(/,[^,]*$/, '')
}

function parameters(size: number): string {
  const list = Array.from({ length: Math.floor(size / 9) }, (_, index) => `;a${index}=b`)
  return list
    .join('')
    .slice(0, size)
    .replace(/;[^;]*$/, '')
}

function repeat(piece: string, size: number): string {
  return piece.repeat(Math.floor(size / piece.length))
}
