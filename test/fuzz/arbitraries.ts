/**
 * Random documents and fields that are almost valid: made of the words of the grammar, then
 * damaged.
 */
import * as fc from 'fast-check'

import { indeterminate, known, varint } from '../support/binary.ts'

/** White space between words. */
const gap = fc.constantFrom('', ' ', '\t', '  ', ' \t')
const number = fc.oneof(
  fc.nat(12).map(String),
  fc.constantFrom(
    '00',
    '010',
    '9007199254740990',
    '9007199254740991',
    '9007199254740992',
    '1e3',
    '-1',
    '',
  ),
)
const token = fc.constantFrom('a', 'b', 'bytes', 'BYTES', 'x-y', '*', 'ä', '"', 'a b', '')
const quoted = fc.constantFrom('""', '"a"', '"a;b"', '"\\""', '"\\a"', '"a\\"', '"ä"', '"', '"a"b')
const word = fc.oneof(token, quoted)
/** The digest of the data `a`. */
const DIGEST_OF_A = 'sha-256=:ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=:'
const digests = fc.constantFrom(
  DIGEST_OF_A,
  'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:',
  'sha-256=:AA==:',
  'sha-256=:AAA:',
  'a=:AA==:;b=1.5;c="x\\"";d=?1;e',
  'A=:AA==:',
  'a=AA==',
  'a=::',
)

const text = (...pieces: readonly fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.tuple(...pieces).map((strings) => strings.join(''))
const list = (element: fc.Arbitrary<string>, separator: fc.Arbitrary<string>) =>
  fc.array(text(element, separator), { maxLength: 5 }).map((pieces) => pieces.join(''))

const positions = text(number, fc.constantFrom('-', '-', ' - '), number)
const contentRange = fc.oneof(
  { weight: 4, arbitrary: goodRange() },
  {
    weight: 1,
    arbitrary: text(
      fc.constantFrom('bytes', 'BYTES', 'items', ''),
      gap,
      fc.oneof(positions, fc.constant('*')),
      fc.constantFrom('/', ''),
      fc.oneof(number, fc.constant('*')),
    ),
  },
)
const rangeInPart = fc.oneof(contentRange, text(fc.constantFrom('bytes=', 'x='), positions))
const mediaType = text(
  gap,
  fc.constantFrom('a/b', 'text/plain', 'A/B', 'a', 'a/b/c', 'multipart/byteranges'),
  list(
    text(
      gap,
      fc.constant(';'),
      gap,
      fc.constantFrom('a', 'A', 'charset', ''),
      fc.constantFrom('=', ''),
      word,
    ),
    gap,
  ),
)
const disposition = text(
  fc.constantFrom('attachment', 'INLINE', 'x-y', ''),
  list(
    text(
      fc.constantFrom(';', '; ', ' ;\t', ''),
      fc.constantFrom('filename', 'FileName*', 'filename*', 'modification-date', 'a'),
      fc.constantFrom('=', '=', ' ='),
      fc.oneof(
        fc.constantFrom("UTF-8''a%2Fb%0A", "utf-8'en'%E2%82%AC", "UTF-8''%FF", "x''a", '".."'),
        fc.constantFrom('"Wed, 12 Feb 1997 16:29:51 -0500"', '"12 Feb 1997 16:29 GMT"'),
        word,
      ),
    ),
    gap,
  ),
)
const digest = list(text(gap, digests), fc.constantFrom(',', ' , ', ', ', ''))
const date = fc.oneof(
  fc
    .date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true })
    .map((day) => day.toUTCString()),
  fc.constantFrom(
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Sun Nov  6 08:49:37 1994',
    'Mon, 29 Feb 2100 00:00:00 GMT',
    'Mon, 29 Feb 0004 23:59:60 GMT',
    'Monday, 29-Feb-00 24:00:00 GMT',
  ),
)

const contentOffset = text(
  gap,
  fc.oneof(number, fc.constantFrom('-0', '-1', '0.5', '"0"', '', '123456789012345')),
  fc
    .array(
      text(
        fc.constantFrom(';', '; ', ' ;'),
        fc.constantFrom('unit', 'complete-length', 'a', 'A', '*a.b'),
        fc.oneof(
          fc.constantFrom('', '=bytes', '=Bytes', '="bytes"', '=lines', '=?1', '=1.5', '=:YQ==:'),
          text(fc.constant('='), number),
        ),
      ),
      { maxLength: 3 },
    )
    .map((parameters) => parameters.join('')),
)

/** Values of each field, by its name in `FIELD_CHECKS`. */
export const FIELD_VALUES = {
  'content-range': contentRange,
  'range-in-part': rangeInPart,
  'content-type': mediaType,
  'content-disposition': disposition,
  digest,
  'if-match': list(
    text(
      gap,
      fc.constantFrom('W/', 'w/', ''),
      fc.constantFrom('"abc,"', '"a"', '""', '"', 'a', '*'),
    ),
    fc.constantFrom(',', ' ,', ', ', ''),
  ),
  date,
  prefer: list(
    text(
      gap,
      fc.constantFrom('transaction', 'Transaction', 'a'),
      gap,
      fc.constantFrom('=', ';', ''),
      gap,
      fc.oneof(fc.constantFrom('atomic', 'persist', '"atomic"', '"\\atomic"'), word),
    ),
    fc.constantFrom(',', ', ', ';', ''),
  ),
  'content-offset': contentOffset,
  range: text(
    fc.constantFrom('bytes=', 'Bytes=', 'bytes', 'x='),
    list(text(gap, text(number, fc.constant('-'), number)), fc.constantFrom(',', ' ,', '')),
  ),
  syntax: fc.oneof(token, number, text(gap, word, gap)),
} as const satisfies Readonly<Record<string, fc.Arbitrary<string>>>

/** The path of a URL. */
export const urlPath: fc.Arbitrary<string> = list(
  fc.constantFrom(
    '/',
    '/',
    'a',
    '.',
    '..',
    '%2e',
    '%2F',
    '%5c',
    '%00',
    '%C3%A9',
    '%ED%A0%80',
    '%FF',
    '%',
    'é',
    'e\u0301',
    '\\',
    'C:',
    ' ',
    '%252e',
  ),
  fc.constant(''),
).map((path) => `/${path}`)

/** The value of a field that the server ignores, or text that looks like the start of a message. */
const unknownValue = fc.constantFrom(
  'a',
  'a HTTP/1.1',
  'a b HTTP/1.1',
  '\r\n b',
  ' \r\n \r\n\tc',
  'a\0',
  'a\n',
  'ä',
  '',
)

const fieldLine = fc.oneof(
  {
    weight: 4,
    arbitrary: text(fc.constantFrom('Content-Range: ', 'content-range:'), contentRange),
  },
  {
    weight: 3,
    arbitrary: fc.oneof(
      text(fc.constant('Range: '), rangeInPart),
      text(fc.constant('Content-Type:'), mediaType),
      text(fc.constantFrom('Repr-Digest: ', 'Content-Digest: '), digest),
      text(fc.constant('Content-Length: '), number),
      text(fc.constantFrom('Content-Offset: ', 'content-offset:'), contentOffset),
      text(
        fc.constant('Content-Encoding: '),
        list(fc.constantFrom('identity', 'gzip', ' '), fc.constant(',')),
      ),
      text(
        fc.constantFrom('X', 'X ', 'X y', '', ' X'),
        fc.constantFrom(':', ': ', ''),
        unknownValue,
      ),
      fc.constantFrom('HTTP/1.1 206 OK', 'PATCH /a HTTP/1.1', 'Transfer-Encoding: chunked'),
    ),
  },
)
const data = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 6 }) },
  {
    weight: 1,
    arbitrary: list(
      fc.constantFrom('\r\n', '\r', '--B', '-', '\r\n--B', 'a', ' '),
      fc.constant(''),
    ),
  },
)

const note = text(
  fc.constantFrom('X', 'x-y', 'X ', ' X', ''),
  fc.constantFrom(':', ': ', ''),
  unknownValue,
  fc.constant('\r\n'),
)

/** A message with one range: a part that fits its range, or field lines and data at random. */
export const messageText: fc.Arbitrary<string> = fc.oneof(
  goodPart(),
  text(list(note, fc.constant('')), goodPart()),
  text(list(fieldLine, fc.constantFrom('\r\n', '\r\n', '\n')), goodPart()),
  text(list(fieldLine, fc.constantFrom('\r\n', '\r\n', '\n')), fc.constantFrom('\r\n', ''), data),
)

const delimiter = text(
  fc.constantFrom('\r\n', '\r\n', '\r\n', '', '\n'),
  fc.constantFrom('--B', '--B', '--B', '--Bx', '-B'),
  fc.constantFrom('', '', '', ' ', '\t ', '-'),
  fc.constantFrom('\r\n', '\r\n', '\r\n', '\r', ''),
)

/** A multipart whose boundary is `B`. */
export const multipartText: fc.Arbitrary<string> = text(
  fc.oneof(fc.constantFrom('--B\r\n', '--B\r\n', '\r\n--B\r\n'), text(data, delimiter)),
  list(messageText, fc.oneof({ weight: 4, arbitrary: fc.constant('\r\n--B\r\n') }, delimiter)),
  fc.oneof(goodPart(), messageText),
  fc.constantFrom(
    '\r\n--B--',
    '\r\n--B--',
    '\r\n--B--\r\nx',
    '\r\n--B-- \t\r\n',
    '\r\n--B-',
    '\r\n--B\r\n',
    '',
  ),
)

/** A part of a binary message. Most of its data fits the range. */
const binaryPart = fc
  .tuple(
    fc.nat(10),
    fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 5 }),
    fc.constantFrom('*', 10, 12),
    fc.constantFrom('Content-Range', 'content-offset', 'Range', 'X'),
    fc.array(
      fc.tuple(
        fc.constantFrom('X', 'Content-Type', 'Content-Length', 'a b', '', ':a'),
        fc.constantFrom('', 'a/b', ' 2', 'text/plain', '\xe9', '\t', '\x01'),
      ),
      { maxLength: 2 },
    ),
    fc.constantFrom('known', 'known', 'chunks', 'wide'),
  )
  .map(([first, bytes, total, name, others, framing]) => {
    const range = `bytes ${first}-${first + bytes.length - 1}/${total}`
    const length = total === '*' ? '' : `;complete-length=${total}`
    const value = name === 'content-offset' ? `${first}${length}` : range
    const fields = [[name, value] as const, ...others]
    if (framing === 'known') return known(fields, bytes)
    const pieces = [bytes.slice(0, 2), bytes.slice(2)].filter((piece) => piece !== '')
    const document = indeterminate(fields, ...pieces)
    return framing === 'chunks' ? document : `${varint(10, 4)}${document.slice(1)}`
  })

/** An `application/byteranges`. */
export const binaryText: fc.Arbitrary<string> = fc
  .array(binaryPart, { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join(''))

/** Changes, removes, doubles or adds some bytes of the text. */
export function damaged(source: fc.Arbitrary<string>): fc.Arbitrary<Uint8Array> {
  const damage = fc.record({
    at: fc.nat(400),
    skip: fc.nat(3),
    insert: fc.constantFrom('', '\r', '\n', '\r\n', '-', ' ', ':', '\0', 'ÿ', '--B', '0'),
  })
  const damages = fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(damage, { maxLength: 3 }) },
  )
  return fc.tuple(source, damages).map(([whole, list]) => {
    const changed = list.reduce(
      (result, { at, skip, insert }) => result.slice(0, at) + insert + result.slice(at + skip),
      whole,
    )
    return Uint8Array.from(changed, (character) => character.charCodeAt(0) & 0xff)
  })
}

function goodRange(): fc.Arbitrary<string> {
  return fc
    .tuple(fc.nat(10), fc.nat(5), fc.constantFrom('*', 10, 12), fc.constantFrom('bytes ', ''))
    .map(([first, more, total, unit]) => `${unit}${first}-${first + more}/${total}`)
}

function goodPart(): fc.Arbitrary<string> {
  const type = fc.constantFrom(
    '',
    '',
    'Content-Type: text/plain\r\n',
    'Content-Type: a/b;c="d"\r\n',
    `Content-Digest: ${DIGEST_OF_A}\r\n`,
  )
  return fc
    .tuple(
      fc.nat(10),
      fc.string({ unit: fc.constantFrom('a', '-'), maxLength: 5 }),
      fc.constantFrom('*', 10, 12),
      type,
      fc.boolean(),
    )
    .map(([first, bytes, total, line, isOpen]) => {
      const range = bytes === '' ? '*/12' : `${first}-${first + bytes.length - 1}/${total}`
      const length = total === '*' ? '' : `;complete-length=${total}`
      const position = isOpen
        ? `Content-Offset: ${first}${length}`
        : `Content-Range: bytes ${range}`
      return `${line}${position}\r\n\r\n${bytes}`
    })
}
