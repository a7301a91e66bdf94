import { describe, expect, test } from 'vitest'
import { formatDigest, parseDigest } from '../../src/fields/digest.ts'

const A32 = `${'A'.repeat(43)}=`
const B64 = `${'/'.repeat(85)}w==`
const SHA_256 = { algorithm: 'sha-256', value: new Uint8Array(32) } as const
const SHA_512 = { algorithm: 'sha-512', value: new Uint8Array(64).fill(255) } as const

describe('parseDigest', () => {
  test.each([
    ['', []],
    [`sha-256=:${A32}:`, [SHA_256]],
    [`sha-512=:${B64}:`, [SHA_512]],
    [`sha-256=:${A32}:,sha-512=:${B64}:`, [SHA_256, SHA_512]],
    [` sha-512=:${B64}: \t,\t sha-256=:${A32}: `, [SHA_512, SHA_256]],
    [`sha-256=:${'A'.repeat(43)}:`, [SHA_256]],
    [`sha-256=:${'A'.repeat(42)}B=:`, [SHA_256]],
    [`sha-256=:${A32}:;a;b=1;c=-1.5; d="e, \\"f";*g=h/i;j=:AA==:;k=?0`, [SHA_256]],
    [`md5=:AAAA:, sha-256=:${A32}:, unixsum=::`, [SHA_256]],
    [`sha-256=:AAAA:, sha-256=:${A32}:`, [SHA_256]],
  ])('reads %j', (field, digests) => {
    expect(parseDigest(field)).toEqual(digests)
  })

  test.each([
    'sha-256',
    'sha-256=',
    'sha-256=AAAA',
    'sha-256="AAAA"',
    'sha-256=1',
    `sha-256:${A32}:`,
    `sha-256=:${A32}`,
    `sha-256=${A32}`,
    `sha-256= :${A32}:`,
    `SHA-256=:${A32}:`,
    `sha-256=:${A32}:,`,
    `,sha-256=:${A32}:`,
    `sha-256=:${A32}:,,md5=:AAAA:`,
    `sha-256=:${A32}: md5=:AAAA:`,
    `sha-256=:${A32}:;`,
    `sha-256=:${A32}:;A`,
    `sha-256=:${A32}:;a=`,
    `sha-256=:${A32}:;a=:A`,
    `sha-256=:${A32}:x`,
    'sha-256=::',
    'sha-256=:AAAA:',
    `sha-256=:${B64}:`,
    `sha-512=:${A32}:`,
    'md5=:A:',
    'md5=:AA=:',
    'md5=:A===:',
    'md5=:AA=A:',
    'md5=:A A:',
    'md5=:A_-A:',
    `sha-256=:${A32}:, 1x=:AAAA:`,
    `sha-256=(:${A32}:)`,
    'nonsense, more',
  ])('rejects %j', (field) => {
    expect(() => parseDigest(field)).toThrow(
      expect.objectContaining({ code: 'ERR_FIELD', status: 400 }),
    )
  })

  test('says which digest has the wrong length', () => {
    expect(() => parseDigest('sha-512=:AAAA:')).toThrow(
      'the sha-512 digest has 3 bytes instead of 64',
    )
  })
})

test('formatDigest writes what parseDigest reads', () => {
  expect(formatDigest(SHA_256)).toBe(`sha-256=:${A32}:`)
  expect(formatDigest(SHA_512)).toBe(`sha-512=:${B64}:`)
})
