import { describe, expect, test } from 'vitest'
import { formatHttpDate, parseHttpDate } from '../../src/fields/http-date.ts'

const NOW = new Date('2026-06-15T12:00:00Z')

describe('parseHttpDate', () => {
  test.each([
    ['Sun, 06 Nov 1994 08:49:37 GMT', '1994-11-06T08:49:37.000Z'],
    ['Sunday, 06-Nov-94 08:49:37 GMT', '1994-11-06T08:49:37.000Z'],
    ['Sun Nov  6 08:49:37 1994', '1994-11-06T08:49:37.000Z'],
    ['Wed Nov 16 08:49:37 1994', '1994-11-16T08:49:37.000Z'],
    ['Thu, 29 Feb 2024 23:59:59 GMT', '2024-02-29T23:59:59.000Z'],
    ['Sat, 31 Dec 2016 23:59:60 GMT', '2017-01-01T00:00:00.000Z'],
    ['Mon, 06 Nov 1994 08:49:37 GMT', '1994-11-06T08:49:37.000Z'],
    ['Fri, 01 Jan 0099 00:00:00 GMT', '0099-01-01T00:00:00.000Z'],
    ['Monday, 15-Jun-76 12:00:00 GMT', '2076-06-15T12:00:00.000Z'],
    ['Monday, 15-Jun-76 12:00:01 GMT', '1976-06-15T12:00:01.000Z'],
    ['Saturday, 01-Jan-00 00:00:00 GMT', '2000-01-01T00:00:00.000Z'],
    ['Thursday, 29-Feb-96 00:00:00 GMT', '1996-02-29T00:00:00.000Z'],
  ])('reads %j', (value, expected) => {
    expect(parseHttpDate(value, NOW)?.toISOString()).toBe(expected)
  })

  test.each([
    ['Friday, 01-Jan-10 00:00:00 GMT', '2090-06-15T00:00:00Z', '2110-01-01T00:00:00.000Z'],
    ['Monday, 15-Jun-40 12:00:00 GMT', '1990-06-15T12:00:00Z', '2040-06-15T12:00:00.000Z'],
    ['Monday, 15-Jun-40 12:00:01 GMT', '1990-06-15T12:00:00Z', '1940-06-15T12:00:01.000Z'],
  ])('places the year of %j near %s', (value, now, expected) => {
    expect(parseHttpDate(value, new Date(now))?.toISOString()).toBe(expected)
  })

  test('places a year of two digits near the present day', () => {
    const year = new Date().getUTCFullYear()
    const value = `Sunday, 06-Nov-${String(year).slice(-2)} 08:49:37 GMT`

    expect(parseHttpDate(value)?.getUTCFullYear()).toBe(year)
  })

  test.each([
    '',
    'now',
    '784111777',
    '1994-11-06T08:49:37Z',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 94 08:49:37 GMT',
    'Sun, 06 nov 1994 08:49:37 GMT',
    'sun, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 gmt',
    'Sun, 06 Nov 1994 08:49:37 UTC',
    'Sun, 06 Nov 1994 08:49:37 +0000',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 06 Nov 1994 08:49 GMT',
    'Sun, 06 Nov 1994 8:49:37 GMT',
    'Sun,  06 Nov 1994 08:49:37 GMT',
    ' Sun, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 GMT ',
    'Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 24:00:00 GMT',
    'Sun, 06 Nov 1994 08:60:37 GMT',
    'Sun, 06 Nov 1994 08:49:61 GMT',
    'Wed, 30 Feb 1994 08:49:37 GMT',
    'Wed, 29 Feb 2023 08:49:37 GMT',
    'Wed, 31 Apr 2024 08:49:37 GMT',
    'Wed, 00 Apr 2024 08:49:37 GMT',
    'Sun, 06-Nov-94 08:49:37 GMT',
    'Sunday, 06-Nov-1994 08:49:37 GMT',
    'Sunday, 31-Feb-94 08:49:37 GMT',
    'Sun Nov 6 08:49:37 1994',
    'Sun Nov 06 08:49:37 94',
    'Sun Nov  6 08:49:37 1994 GMT',
  ])('rejects %j as malformed', (value) => {
    expect(parseHttpDate(value, NOW)).toBeNull()
  })
})

test('formatHttpDate writes an IMF-fixdate and cuts the fraction off', () => {
  expect(formatHttpDate(new Date('1994-11-06T08:49:37.999Z'))).toBe('Sun, 06 Nov 1994 08:49:37 GMT')
})
