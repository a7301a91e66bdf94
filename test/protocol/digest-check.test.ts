/** Digests that a client announced, and those of the bytes. */
import { createHash } from 'node:crypto'

import { describe, expect, it } from 'vitest'

import { UploadError } from '../../src/errors.ts'
import { verifiableDigest } from '../../src/fields/digest.ts'
import { createDigestCheck } from '../../src/protocol/digest-check.ts'

describe('a digest check', () => {
  it.each([
    ['hello', 'hello', null],
    ['hello', 'other', 'sha-512'],
    ['other', 'hello', 'sha-256'],
  ])('of %s by sha-256 and of %s by sha-512 finds %s wrong', (short, long, wrong) => {
    const check = createDigestCheck([
      { algorithm: 'sha-256', value: createHash('sha256').update(short).digest() },
      { algorithm: 'sha-512', value: createHash('sha512').update(long).digest() },
    ])

    check.update(Buffer.from('hel'))
    check.update(Buffer.from('lo'))

    expect(check.mismatch()).toBe(wrong)
  })

  it('keeps of a field what can be verified', () => {
    const digest = `sha-256=:${createHash('sha256').update('a').digest('base64')}:`

    expect(verifiableDigest(`md5=:AAAA:, ${digest};x=1`)).toBe(digest)
    expect(verifiableDigest('md5=:AAAA:')).toBeNull()
    expect(verifiableDigest(null)).toBeNull()
    expect(() => verifiableDigest('sha-256=abc')).toThrow(UploadError)
  })
})
