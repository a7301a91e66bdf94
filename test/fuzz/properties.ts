/** The properties that are checked with random inputs of fast-check, one for each subject. */
import * as fc from 'fast-check'

import {
  binaryText,
  damaged,
  FIELD_VALUES,
  messageText,
  multipartText,
  urlPath,
} from './arbitraries.ts'
import { FIELD_CHECKS } from './check-fields.ts'
import { checkHead } from './check-head.ts'
import { checkKey } from './check-key.ts'
import { checkParser } from './check-parser.ts'
import { checkPatch, GIVEN } from './check-patch.ts'
import type { StoreName } from '../support/storage/stores.ts'
import { FuzzServer } from './server.ts'

/** A property by the name of its subject. */
export interface NamedProperty {
  readonly name: string
  readonly property: fc.IRawProperty<unknown>
}

const FIELD_NAMES = Object.keys(FIELD_CHECKS) as (keyof typeof FIELD_CHECKS)[]

/** Properties that need no server. */
export const PROPERTIES: readonly NamedProperty[] = [
  {
    name: 'message/byteranges',
    property: fc.property(damaged(messageText), options(), fc.integer(), (bytes, limits, seed) => {
      const contentLength = seed % 2 === 0 ? null : bytes.length + (seed % 3)
      const given = { ...limits, contentLength }
      checkParser({ type: 'message/byteranges', boundary: null, options: given, bytes, seed })
    }),
  },
  {
    name: 'multipart/byteranges',
    property: fc.property(
      damaged(multipartText),
      options(),
      fc.integer(),
      (bytes, limits, seed) => {
        const boundary = seed % 4 === 0 ? null : 'B'
        const given = { ...limits, contentLength: null }
        checkParser({ type: 'multipart/byteranges', boundary, options: given, bytes, seed })
      },
    ),
  },
  {
    name: 'application/byteranges',
    property: fc.property(damaged(binaryText), options(), fc.integer(), (bytes, limits, seed) => {
      const given = { ...limits, contentLength: null }
      checkParser({
        type: 'application/byteranges',
        boundary: null,
        options: given,
        bytes,
        seed,
      })
    }),
  },
  ...FIELD_NAMES.map((name) => ({
    name: `field ${name}`,
    property: fc.property(damaged(FIELD_VALUES[name]), (value) => {
      FIELD_CHECKS[name](Buffer.from(value).toString('latin1'))
    }),
  })),
  { name: 'key', property: fc.property(urlPath, (path) => void checkKey(path)) },
]

/** Properties of a server on the given store, which is shared by all of them. */
export async function serverProperties(store: StoreName): Promise<readonly NamedProperty[]> {
  const server = await FuzzServer.start(store)
  const patch = fc.record({
    given: fc.constantFrom(...(Object.keys(GIVEN) as (keyof typeof GIVEN)[])),
    framing: fc.constantFrom('length', 'chunked', 'cut-length', 'cut-chunked'),
    seed: fc.integer(),
  })
  const document = fc.oneof(
    fc.record({ format: fc.constant('message'), bytes: damaged(messageText) }),
    fc.record({ format: fc.constantFrom('multipart', 'unnamed'), bytes: damaged(multipartText) }),
    fc.record({ format: fc.constant('binary'), bytes: damaged(binaryText) }),
  )
  return [
    {
      name: `PATCH, ${store}`,
      property: fc.asyncProperty(patch, document, (given, { format, bytes }) => {
        return checkPatch(server, { ...given, format, bytes })
      }),
    },
    {
      name: `any bytes, ${store}`,
      property: fc.asyncProperty(damaged(head()), (bytes) => checkHead(server, bytes)),
    },
  ]
}

function options() {
  return fc.constantFrom(
    { maxParts: 3, maxPartHeaderSize: 300, maxSize: 2 ** 40 },
    { maxParts: 1, maxPartHeaderSize: 40, maxSize: 20 },
  )
}

/** A request of any method, with one or several copies of fields that the server knows. */
function head(): fc.Arbitrary<string> {
  const line = fc.oneof(
    FIELD_VALUES.range.map((value) => `Range: ${value}`),
    FIELD_VALUES['if-match'].map((value) => `If-Match: ${value}`),
    FIELD_VALUES['if-match'].map((value) => `If-None-Match: ${value}`),
    FIELD_VALUES.date.map((value) => `If-Modified-Since: ${value}`),
    FIELD_VALUES.prefer.map((value) => `Prefer: ${value}`),
    FIELD_VALUES.digest.map((value) => `Content-Digest: ${value}`),
    FIELD_VALUES['content-type'].map((value) => `Content-Type: ${value}`),
    FIELD_VALUES['content-disposition'].map((value) => `Content-Disposition: ${value}`),
    fc.constantFrom(
      'Content-Type: message/byteranges',
      'Content-Type: multipart/byteranges; boundary=B',
      'Transfer-Encoding: chunked',
      'Transfer-Encoding: gzip, chunked',
      'Content-Length: 5',
      'Expect: 100-continue',
      'Connection: close',
    ),
  )
  return fc
    .tuple(
      fc.constantFrom('GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'POST', 'patch'),
      urlPath,
      fc.array(line, { maxLength: 5 }),
      fc.oneof(messageText, multipartText),
    )
    .map(([method, path, lines, body]) => {
      const length = `Content-Length: ${body.length}`
      const start = `${method} /files${path.replaceAll(' ', '%20')} HTTP/1.1`
      return [start, 'Host: a', ...lines, length, '', body].join('\r\n')
    })
}
