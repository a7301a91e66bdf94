import { describe, expect, it } from 'vitest'

import type { RequestHeaders } from '../../src/protocol/http.ts'
import {
  allowsRange,
  checkWriteConditions,
  hasWriteCondition,
  isNotModified,
} from '../../src/protocol/preconditions.ts'
import type { ResourceInfo } from '../../src/storage/adapter.ts'

const INFO: ResourceInfo = {
  size: 4,
  complete: false,
  everComplete: false,
  completeLength: 10,
  contentType: null,
  contentDisposition: null,
  reprDigest: null,
  owner: null,
  etag: '"a"',
  lastModified: new Date('2019-06-28T12:00:30.900Z'),
}
const AT = 'Fri, 28 Jun 2019 12:00:30 GMT'
const BEFORE = 'Fri, 28 Jun 2019 12:00:29 GMT'
const AFTER = 'Fri, 28 Jun 2019 12:00:31 GMT'
const NOW = new Date('2019-06-28T12:05:00Z')

type Fields = readonly (readonly [name: string, value: string])[]

/** The results of each condition for an absent and for an existing resource. */
const WRITE: readonly (readonly [fields: Fields, absent: boolean, present: boolean])[] = [
  [[], true, true],
  [[['if-match', '*']], false, true],
  [[['if-match', ' * ']], false, true],
  [[['if-match', '"a"']], false, true],
  [[['if-match', '"b", "a"']], false, true],
  [[['if-match', '"b","a" , "c"']], false, true],
  [[['if-match', '"b"']], false, false],
  [[['if-match', 'W/"a"']], false, false],
  [[['if-match', 'a']], false, false],
  [[['if-match', '"A"']], false, false],
  [[['if-match', '']], false, false],
  // Two lines are one list.
  [
    [
      ['if-match', '"b"'],
      ['if-match', '"a"'],
    ],
    false,
    true,
  ],
  [[['if-none-match', '*']], true, false],
  [[['if-none-match', '"a"']], true, false],
  [[['if-none-match', 'W/"a"']], true, false],
  [[['if-none-match', '"b", W/"a"']], true, false],
  [[['if-none-match', '"b"']], true, true],
  [[['if-none-match', 'a']], true, true],
  [[['if-unmodified-since', AT]], true, true],
  [[['if-unmodified-since', AFTER]], true, true],
  [[['if-unmodified-since', BEFORE]], true, false],
  [[['if-unmodified-since', 'Friday, 28-Jun-19 12:00:29 GMT']], true, false],
  [[['if-unmodified-since', 'Fri Jun 28 12:00:29 2019']], true, false],
  [[['if-unmodified-since', 'Friday, 28-Jun-19 12:00:30 GMT']], true, true],
  [[['if-unmodified-since', 'Fri Jun 28 12:00:30 2019']], true, true],
  // The field does not have exactly one valid date, and is ignored.
  [[['if-unmodified-since', 'yesterday']], true, true],
  [
    [
      ['if-unmodified-since', BEFORE],
      ['if-unmodified-since', BEFORE],
    ],
    true,
    true,
  ],
  // If-Match takes precedence over If-Unmodified-Since; If-None-Match counts beside either.
  [
    [
      ['if-match', '"a"'],
      ['if-unmodified-since', BEFORE],
    ],
    false,
    true,
  ],
  [
    [
      ['if-match', '"b"'],
      ['if-unmodified-since', AFTER],
    ],
    false,
    false,
  ],
  [
    [
      ['if-match', '"a"'],
      ['if-none-match', '"a"'],
    ],
    false,
    false,
  ],
  [
    [
      ['if-unmodified-since', BEFORE],
      ['if-none-match', '"b"'],
    ],
    true,
    false,
  ],
  [[['if-modified-since', AFTER]], true, true],
  [[['if-range', '"b"']], true, true],
]

describe('the conditions of a write', () => {
  it.each(WRITE)(
    '%j are %s without a resource and %s for the version',
    (fields, absent, present) => {
      expect([isTrue(fields, null), isTrue(fields, INFO)]).toEqual([absent, present])
    },
  )

  it('name the current version when they are false', () => {
    expect(refusal([['if-match', '"b"']], INFO)).toMatchObject({
      code: 'ERR_PRECONDITION',
      status: 412,
      headers: { ETag: '"a"', 'Last-Modified': AT },
      members: { received: 4, length: 10, complete: false },
    })
  })

  it('name the size of a finished resource when they are false', () => {
    const info = { ...INFO, complete: true, completeLength: null }

    expect(refusal([['if-none-match', '*']], info)).toMatchObject({
      members: { received: 4, length: 4, complete: true },
    })
  })

  it('report that the resource does not exist when they are false', () => {
    expect(refusal([['if-match', '*']], null)).toMatchObject({
      headers: {},
      members: { received: 0, length: null, complete: false },
    })
  })

  it.each([
    [[['if-match', '"a"']], true],
    [[['if-none-match', '*']], true],
    [[['if-unmodified-since', AT]], true],
    [[['if-unmodified-since', 'yesterday']], false],
    [[['if-modified-since', AT]], false],
    [[['if-range', '"a"']], false],
    [[], false],
  ] as [Fields, boolean][])('are present in %j: %s', (fields, isThere) => {
    expect(hasWriteCondition(headers(fields))).toBe(isThere)
  })
})

describe('the conditions of a read', () => {
  it.each([
    [[], false],
    [[['if-none-match', '"a"']], true],
    [[['if-none-match', 'W/"a"']], true],
    [[['if-none-match', '*']], true],
    [[['if-none-match', '"b"']], false],
    [[['if-modified-since', BEFORE]], false],
    [[['if-modified-since', AT]], true],
    [[['if-modified-since', AFTER]], true],
    [[['if-modified-since', 'Friday, 28-Jun-19 12:00:30 GMT']], true],
    [[['if-modified-since', 'Fri Jun 28 12:00:30 2019']], true],
    [[['if-modified-since', '2019-06-28T12:00:30Z']], false],
    [
      [
        ['if-modified-since', AT],
        ['if-modified-since', AT],
      ],
      false,
    ],
    // If-None-Match takes precedence over If-Modified-Since.
    [
      [
        ['if-none-match', '"b"'],
        ['if-modified-since', AFTER],
      ],
      false,
    ],
  ] as [Fields, boolean][])('%j report that nothing was modified: %s', (fields, notModified) => {
    expect(isNotModified(headers(fields), INFO)).toBe(notModified)
  })

  it.each([[[['if-match', '"b"']]], [[['if-unmodified-since', BEFORE]]]] as [Fields][])(
    '%j are refused with 412',
    (fields) => {
      expect(() => isNotModified(headers(fields), INFO)).toThrow(
        expect.objectContaining({ code: 'ERR_PRECONDITION' }),
      )
    },
  )
})

describe('If-Range', () => {
  it.each([
    [[], true],
    [[['if-range', '"a"']], true],
    [[['if-range', '"b"']], false],
    [[['if-range', 'W/"a"']], false],
    [[['if-range', '"a", "b"']], false],
    [[['if-range', AT]], true],
    [[['if-range', 'Friday, 28-Jun-19 12:00:30 GMT']], true],
    [[['if-range', AFTER]], false],
    [[['if-range', BEFORE]], false],
    [[['if-range', 'a']], false],
    [
      [
        ['if-range', '"a"'],
        ['if-range', '"a"'],
      ],
      false,
    ],
  ] as [Fields, boolean][])('%j allows a range: %s', (fields, isAllowed) => {
    expect(allowsRange(headers(fields), INFO, NOW)).toBe(isAllowed)
  })

  it('with a date of the current second allows none, because the resource may change again in it', () => {
    const now = new Date('2019-06-28T12:00:30.950Z')

    expect(allowsRange(headers([['if-range', AT]]), INFO, now)).toBe(false)
  })
})

function isTrue(fields: Fields, info: ResourceInfo | null): boolean {
  return refusal(fields, info) === null
}

function refusal(fields: Fields, info: ResourceInfo | null): unknown {
  try {
    checkWriteConditions(headers(fields), info)
    return null
  } catch (error) {
    return error
  }
}

function headers(fields: Fields): RequestHeaders {
  const all = (name: string) => fields.filter(([given]) => given === name).map(([, value]) => value)
  return { all, get: (name) => (all(name).length === 0 ? null : all(name).join(', ')) }
}
