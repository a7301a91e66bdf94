/** Patch documents that cost a parser the most for their size. */
import { digestMembers, repeat, typeParameters } from './worst-fields.ts'

/** The content of a PATCH, each character a byte. */
export interface WorstDocument {
  readonly name: string
  /** The value of its Content-Type. */
  readonly type: string
  readonly content: string
}

const LONG = '-'.repeat(70)
const RANGE = 'Content-Range: bytes 0-0/1\r\n'

/** Data, a preamble and an epilogue of `size` bytes, full of text that begins like a delimiter. */
export function lookAlikes(size: number): readonly WorstDocument[] {
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
    const filler = repeat(piece, size)
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

/** Documents of `count` parts of one byte. */
export function manyParts(count: number): readonly WorstDocument[] {
  const end = '\r\n--B--'
  const all = (from: (index: number) => string) =>
    Array.from({ length: count }, (_, at) => from(at))
  const wide = (at: number) => `${header(8192 - 40)}Content-Range: bytes ${at}-${at}/${count}`
  return [
    multipart(`${count} parts of a byte`, 'B', [
      ...all((at) => part('B', `${at}-${at}/${count}`, 'x')),
      end,
    ]),
    multipart(`${count} parts from the last to the first`, 'B', [
      ...all((at) => part('B', `${count - 1 - at}-${count - 1 - at}/${count}`, 'x')),
      end,
    ]),
    multipart(`${count} parts with large headers`, 'B', [
      ...all((at) => `\r\n--B\r\n${wide(at)}\r\n\r\nx`),
      end,
    ]),
  ]
}

/** Headers of a part around the limit, and of the costliest lines, in both formats. */
export function largeHeaders(limit: number): readonly WorstDocument[] {
  const space = limit - RANGE.length
  const lines: readonly (readonly [name: string, block: string])[] = [
    ['a header one byte short of the limit', header(space - 1)],
    ['a header at the limit', header(space)],
    ['a header one byte beyond the limit', header(space + 1)],
    ['a fold for every space', `a: b${repeat('\r\n ', space - 6)}\r\n`],
    ['folds of spaces', `a: b${repeat(`\r\n${' '.repeat(50)}`, space - 6)}\r\n`],
    ['64 fields', `a: b\r\n`.repeat(63)],
    ['spaces without a colon', `${repeat(' a', space - 3).trim()}\r\n`],
    ['spaces before a colon', `a${' '.repeat(space - 10)}x: b\r\n`],
    ['a digest of many members', `Repr-Digest: ${digestMembers(space - 15)}\r\n`],
    ['a type of many parameters', `Content-Type: a/b${typeParameters(space - 20)}\r\n`],
    ['codings', `Content-Encoding: ${repeat('identity,', space - 20)}\r\n`],
    ['almost codings', `Content-Encoding: ${repeat('identity ', space - 30)}x\r\n`],
    ['digits', `Content-Length: ${repeat('1', space - 20)}\r\n`],
  ]
  return lines.flatMap(([name, block]) => [
    messageOf(`part: ${name}`, `${block}${RANGE}\r\nx`),
    multipart(`part of a multipart: ${name}`, 'B', [`--B\r\n${block}${RANGE}\r\nx\r\n--B--`]),
  ])
}

/** A message whose data has `size` bytes. */
export function longMessage(size: number): WorstDocument {
  const content = `Content-Range: bytes 0-${size - 1}/${size}\r\n\r\n${'x'.repeat(size)}`
  return messageOf(`${size} bytes`, content)
}

function messageOf(name: string, content: string): WorstDocument {
  return { name, type: 'message/byteranges', content }
}

function multipart(name: string, boundary: string, pieces: readonly string[]): WorstDocument {
  const type = `multipart/byteranges; boundary="${boundary}"`
  return { name, type, content: pieces.join('') }
}

function part(boundary: string, range: string, data: string): string {
  return `\r\n--${boundary}\r\nContent-Range: bytes ${range}\r\n\r\n${data}`
}

/** One field line of the given size, its line end included. */
function header(size: number): string {
  return `a: ${'b'.repeat(size - 5)}\r\n`
}
