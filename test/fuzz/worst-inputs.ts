/** Requests up to the limits that cost a server the most for their size. */
import { CHUNKED, MESSAGE, chunk, message, request } from '../support/wire/client.ts'
import { largeHeaders, lookAlikes, manyParts, type WorstDocument } from './worst-documents.ts'
import { worstFields, worstParameters, worstPaths } from './worst-fields.ts'

/** Requests for one path, in order, each after the answer to the one before. */
export interface WorstInput {
  readonly name: string
  /**
   * Whether the input is skipped for the memory store, which copies whole resources and is meant
   * for small ones.
   */
  readonly isLarge?: boolean
  readonly requests: (path: string) => readonly Buffer[]
}

const MIB = 1024 * 1024
/** Length of a field, in characters. Node accepts 16 KiB for the whole head. */
const FIELD_SIZE = 15_000

export const WORST_INPUTS: readonly WorstInput[] = [
  ...[...lookAlikes(8 * MIB), ...manyParts(128), ...largeHeaders(8192)].map(toInput),
  ...chunks(),
  ...fields(),
  ...types(),
  ...paths(),
  ...overlaps(),
]

function toInput({ name, type, content }: WorstDocument): WorstInput {
  return {
    name,
    requests: (path) => [request('PATCH', path, [`Content-Type: ${type}`], content)],
  }
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

/** Fields of about the greatest length that Node accepts. */
function fields(): readonly WorstInput[] {
  return worstFields(FIELD_SIZE).map(({ name, value }) => {
    const line = `${name}: ${value}`
    return {
      name: `field: ${line.slice(0, 40)}…`,
      requests: (path) => [
        request('PUT', path, [], 'abcdefghij'),
        request('PATCH', path, [MESSAGE, line], message('bytes 0-0/10', 'a')),
        request('PUT', path, [line], 'abcdefghij'),
        request('GET', path, [line]),
        request('DELETE', path, [line]),
      ],
    }
  })
}

function types(): readonly WorstInput[] {
  return worstParameters(FIELD_SIZE).map((rest) => ({
    name: `field: Content-Type: …${rest.slice(0, 20)}…`,
    requests: (path) => [
      request('PATCH', path, [`Content-Type: multipart/byteranges${rest}`], 'x'),
      request('PUT', path, [`Content-Type: a/b${rest}`], 'x'),
    ],
  }))
}

function paths(): readonly WorstInput[] {
  return worstPaths(FIELD_SIZE).map(({ name, path }) => ({
    name,
    requests: () => ['GET', 'PUT'].map((method) => request(method, `/files/${path}`, [], 'x')),
  }))
}

/** Megabytes of data over stored bytes, and many requests at once. */
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
