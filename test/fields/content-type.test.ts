import { describe, expect, test } from 'vitest'
import { isSameMediaType, mediaTypeOfName, parseMediaType } from '../../src/fields/content-type.ts'

describe('parseMediaType', () => {
  test.each([
    ['text/plain', 'text/plain', {}],
    [' Text/PLAIN ', 'text/plain', {}],
    ['text/plain;charset=utf-8', 'text/plain', { charset: 'utf-8' }],
    ['text/plain \t; \tCharset=UTF-8 ', 'text/plain', { charset: 'UTF-8' }],
    ['text/plain; charset="utf-8"', 'text/plain', { charset: 'utf-8' }],
    ['a/b; c="d;e=f, \\"g\\\\"; h=i', 'a/b', { c: 'd;e=f, "g\\', h: 'i' }],
    ['a/b; c=""', 'a/b', { c: '' }],
    ['a/b;', 'a/b', {}],
    ['a/b; ;c=d;;', 'a/b', { c: 'd' }],
    ["!#$%&'*+-.^_`|~1/a", "!#$%&'*+-.^_`|~1/a", {}],
  ])('reads %j', (value, type, parameters) => {
    expect(parseMediaType(value)).toEqual({
      type,
      parameters: new Map(Object.entries(parameters)),
    })
  })

  test.each([
    '',
    'text',
    'text/',
    '/plain',
    'text /plain',
    'text/ plain',
    'text/plain x',
    'text/plain, text/html',
    'text/plain; charset',
    'text/plain; charset=',
    'text/plain; charset =utf-8',
    'text/plain; charset= utf-8',
    'text/plain; =utf-8',
    'text/plain; charset=a b',
    'text/plain; charset="a',
    'text/plain; charset="a"b',
    'text/plain; charset="a\\"',
    'text/plain; charset="\x01"',
    'text/plain; charset=a; Charset=a',
    'text/plain\r\nX: y',
    'text/plain;\u00a0a=b',
    'text/pl\xe4in',
    `text/plain;${' '.repeat(10_000)}x`,
  ])('rejects %j as malformed', (value) => {
    expect(parseMediaType(value)).toBeNull()
  })
})

test.each([
  ['Text/Plain', 'text/plain', true],
  ['a/b;C=d;e="f"', 'a/b; e=f; c=d', true],
  ['a/b; c="\\d"', 'a/b; c=d', true],
  ['a/b', 'a/c', false],
  ['a/b', 'a/b; c=d', false],
  ['a/b; c=d', 'a/b', false],
  ['a/b; c=d', 'a/b; c=D', false],
  ['a/b; c=d', 'a/b; e=d', false],
])('isSameMediaType compares %j and %j: %j', (first, second, same) => {
  expect(isSameMediaType(parseMediaType(first)!, parseMediaType(second)!)).toBe(same)
})

test.each([
  ['report.PDF', 'application/pdf'],
  ['notes/2026.txt', 'text/plain; charset=utf-8'],
  ['a.tar.gz', 'application/gzip'],
  ['letter.docx', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'],
  ['json', null],
  ['folder.txt/readme', null],
  ['.png', null],
  ['name.', null],
  ['a.unknown', null],
])('the name %s suggests the media type %s', (name, type) => {
  expect(mediaTypeOfName(name)).toBe(type)
})
