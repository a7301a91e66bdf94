import { createHash } from 'node:crypto'

import { expect, test } from 'vitest'

import { createSha256 } from '../../src/client/sha256.ts'
import { pattern } from '../support/client/setup.ts'

test('gives the digest of an example of FIPS 180-2', () => {
  const hash = createSha256()

  hash.update(Buffer.from('abc'))

  expect(Buffer.from(hash.digest()).toString('hex')).toBe(
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  )
})

test('agrees with node:crypto for every length around the blocks', () => {
  const bytes = pattern(300)

  for (let length = 0; length <= bytes.length; length++) {
    const hash = createSha256()
    hash.update(bytes.subarray(0, length))
    const expected = createHash('sha256').update(bytes.subarray(0, length)).digest()
    expect(Buffer.from(hash.digest()).equals(expected), `length ${length}`).toBe(true)
  }
})

test('does not depend on the boundaries of chunks', () => {
  const bytes = pattern(300)
  const expected = createHash('sha256').update(bytes).digest()

  for (let cut = 0; cut <= bytes.length; cut++) {
    const hash = createSha256()
    hash.update(bytes.subarray(0, cut))
    hash.update(bytes.subarray(cut, cut + 7))
    hash.update(bytes.subarray(cut + 7))
    expect(Buffer.from(hash.digest()).equals(expected), `cut at ${cut}`).toBe(true)
  }
})
