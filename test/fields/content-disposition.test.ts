import { describe, expect, test } from 'vitest'

import {
  dispositionName,
  isSameDisposition,
  readContentDisposition,
} from '../../src/fields/content-disposition.ts'

const DATED = 'attachment; modification-date='

describe('readContentDisposition', () => {
  test('returns null without a field line', () => {
    expect(readContentDisposition([])).toBeNull()
  })

  test.each([
    'attachment',
    'inline',
    'x-unknown; a=b',
    'attachment;filename=a.txt',
    'Attachment ;\tFILENAME="a b"',
    'attachment; filename="a \\"b\\" \\\\ c"',
    "attachment; filename=a; filename*=UTF-8''na%C3%AFve.txt",
    "attachment; filename*=utf-8'de'a%20b",
    "attachment; filename*=ISO-8859-1''na%EFve",
    "attachment; filename*=UTF-8''",
    `${DATED}"Wed, 12 Feb 1997 16:29:51 -0500"`,
    `${DATED}"12 Feb 1997 16:29 +0000"`,
    `${DATED}"Thu, 29 Feb 2024 00:00:60 GMT"`,
    `attachment; filename="${'a'.repeat(1001)}"`,
  ])('accepts %j unchanged', (value) => {
    expect(readContentDisposition([` ${value}\t`])).toBe(value)
    expect(readContentDisposition([value, value])).toBe(value)
  })

  test.each([
    '',
    ';',
    '; filename=a',
    'attachment filename=a',
    'attachment, inline',
    'attachment; filename',
    'attachment; filename=',
    'attachment; filename=a b',
    'attachment; filename = a',
    'attachment; filename="a',
    'attachment; filename="a"b',
    'attachment; filename=a; filename=b',
    'attachment; filename=a; FileName=a',
    "attachment; filename*=UTF-8''a; filename*=UTF-8''a",
    'attachment; filename*=a',
    "attachment; filename*=UTF-16''a",
    "attachment; filename*=UTF-8'a",
    'attachment; filename*="UTF-8\'\'a"',
    "attachment; filename*=UTF-8''%",
    "attachment; filename*=UTF-8''%4",
    "attachment; filename*=UTF-8''%zz",
    "attachment; filename*=UTF-8''%C3",
    "attachment; filename*=UTF-8''%C0%AF",
    "attachment; filename*=UTF-8''%ED%A0%80",
    "attachment; filename*=UTF-8''a*b",
    'attachment; filename="na\xefve"',
    'attachment; filename="a\x00b"',
    'attachment; filename="a\x7fb"',
    'attachment; filename="a\r\nSet-Cookie: b"',
    `${DATED}1997`,
    `${DATED}""`,
    `${DATED}"1997-02-12T16:29:51Z"`,
    `${DATED}"Wed, 31 Feb 1997 16:29:51 -0500"`,
    `${DATED}"Wed, 00 Feb 1997 16:29:51 -0500"`,
    `${DATED}"Wed, 12 Feb 1997 24:29:51 -0500"`,
    `${DATED}"Wed, 12 Feb 1997 16:29:51"`,
    'attachment; creation-date="yesterday"',
    'attachment; read-date="yesterday"',
    `attachment; filename="${'a'.repeat(1002)}"`,
  ])('refuses %j', (value) => {
    expect(() => readContentDisposition([value])).toThrow(
      expect.objectContaining({ code: 'ERR_FIELD', status: 400 }),
    )
  })

  test('refuses lines that differ', () => {
    expect(() => readContentDisposition(['attachment', 'inline'])).toThrow('two different')
  })
})

describe('isSameDisposition', () => {
  test.each([
    ['attachment; filename=a', 'Attachment;FILENAME="a"', true],
    ['attachment; filename=a; size=1', 'attachment; size=1; filename=a', true],
    ['attachment; filename=a', 'inline; filename=a', false],
    ['attachment; filename=a', 'attachment; filename=A', false],
    ['attachment; filename=a', 'attachment', false],
    ['attachment', 'attachment; filename=a', false],
  ])('compares %j with %j: %s', (first, second, isSame) => {
    expect(isSameDisposition(first, second)).toBe(isSame)
  })
})

describe('dispositionName', () => {
  test.each([
    [null, null],
    ['attachment', null],
    ['attachment; filename=""', null],
    ['attachment; filename=a.txt', 'a.txt'],
    ['inline; filename="a \\"b\\".txt"', 'a "b".txt'],
    ["attachment; filename=plain; filename*=UTF-8''na%C3%AFve.txt", 'naïve.txt'],
    ["attachment; filename*=iso-8859-1'en'na%EFve", 'naïve'],
    ['attachment; filename="../../etc/passwd"', 'passwd'],
    ["attachment; filename*=UTF-8''..%2f..%5Cboot.ini", 'boot.ini'],
    ['attachment; filename="C:\\\\temp\\\\a.txt"', 'a.txt'],
    ["attachment; filename*=UTF-8''a%2F%0Ab", '_b'],
    ['attachment; filename="a/"', null],
    ['attachment; filename=".."', null],
    ["attachment; filename*=UTF-8''a%00b%0D%0Ac%7F", 'a_b__c_'],
    ["attachment; filename*=UTF-8''gpj%E2%80%AEexe", 'gpj_exe'],
    ["attachment; filename*=UTF-8''", null],
  ])('of %j is %j', (value, name) => {
    expect(dispositionName(value)).toBe(name)
  })
})
