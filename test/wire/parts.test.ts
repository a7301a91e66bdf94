/** Several parts in one patch: applied in their order, all of them or none. */
import { describe, expect, it } from 'vitest'

import { MULTIPART, multipart } from '../support/wire/client.ts'
import { BOTH, useServer } from '../support/wire/server.ts'

type Part = readonly [contentRange: string, data: string]

describe.each(BOTH)('a multipart over $name', (combination) => {
  const server = useServer(combination)

  it.each<readonly [string, string, readonly Part[], number, string, string]>([
    [
      'parts that follow each other',
      '∅',
      [
        ['bytes 0-1/4', 'AB'],
        ['bytes 2-3/4', 'CD'],
      ],
      201,
      'C(4)',
      'ABCD',
    ],
    [
      'parts out of order',
      '∅',
      [
        ['bytes 2-3/10', 'CD'],
        ['bytes 0-1/10', 'AB'],
      ],
      202,
      'I(4/10)',
      'ABCD',
    ],
    [
      'parts out of order',
      'I(4/10)',
      [
        ['bytes 6-9/10', 'GHIJ'],
        ['bytes 4-5/10', 'EF'],
      ],
      201,
      'C(10)',
      'abcdEFGHIJ',
    ],
    [
      'parts that overlap',
      '∅',
      [
        ['bytes 0-3/10', 'ABCD'],
        ['bytes 2-5/10', 'wxyz'],
      ],
      202,
      'I(6/10)',
      'ABwxyz',
    ],
    [
      'parts that overlap',
      'C(10)',
      [
        ['bytes 2-5/10', 'wxyz'],
        ['bytes 0-3/10', 'ABCD'],
      ],
      204,
      'C(10)',
      'ABCDyzghij',
    ],
    [
      'parts far apart',
      'C(10)',
      [
        ['bytes 0-0/10', 'A'],
        ['bytes 9-9/10', 'J'],
      ],
      204,
      'C(10)',
      'AbcdefghiJ',
    ],
    [
      'a part inside and one beyond',
      'C(10)',
      [
        ['bytes 0-0/12', 'A'],
        ['bytes 10-11/12', 'KL'],
      ],
      204,
      'C(12)',
      'AbcdefghijKL',
    ],
    [
      'a total in one part only',
      '∅',
      [
        ['bytes 0-1/*', 'AB'],
        ['bytes 2-3/10', 'CD'],
      ],
      202,
      'I(4/10)',
      'ABCD',
    ],
    [
      'a last part that declares the length',
      '∅',
      [
        ['bytes 0-3/*', 'ABCD'],
        ['bytes */4', ''],
      ],
      201,
      'C(4)',
      'ABCD',
    ],
  ])('with %s changes %s by %j: %i, %s, "%s"', async (_, given, parts, status, then, bytes) => {
    const path = await server.given(given)

    const answer = await server.send('PATCH', path, [MULTIPART], multipart(...parts))

    expect(answer.status).toBe(status)
    expect(await server.snapshot(path)).toMatchObject({ state: then, bytes })
  })

  it.each<readonly [string, string, readonly Part[], number]>([
    [
      'a gap after a good part',
      'I(4/10)',
      [
        ['bytes 4-4/10', 'E'],
        ['bytes 6-6/10', 'G'],
      ],
      409,
    ],
    [
      'a gap before a good part',
      'C(10)',
      [
        ['bytes 11-11/*', 'L'],
        ['bytes 0-0/10', 'A'],
      ],
      409,
    ],
    [
      'another total',
      'I(4/10)',
      [
        ['bytes 4-4/*', 'E'],
        ['bytes 5-5/11', 'F'],
      ],
      409,
    ],
    [
      'a part past the declared length',
      'I(4/10)',
      [
        ['bytes 0-0/10', 'A'],
        ['bytes 4-10/*', 'EFGHIJK'],
      ],
      409,
    ],
    [
      'a part past the declared length that an earlier one reaches',
      'I(4/10)',
      [
        ['bytes 4-9/*', 'EFGHIJ'],
        ['bytes 10-10/*', 'K'],
      ],
      409,
    ],
    [
      'a part that declares another length after one that reaches the declared one',
      'I(4/10)',
      [
        ['bytes 4-9/*', 'EFGHIJ'],
        ['bytes 10-11/12', 'KL'],
      ],
      409,
    ],
    [
      'a part past the length that an earlier one declares and reaches',
      '∅',
      [
        ['bytes 0-3/4', 'ABCD'],
        ['bytes 4-4/*', 'E'],
      ],
      409,
    ],
    [
      'no start',
      '∅',
      [
        ['bytes 1-1/10', 'B'],
        ['bytes 2-2/10', 'C'],
      ],
      404,
    ],
  ])('with %s leaves %s unchanged by %j: %i', async (_, given, parts, status) => {
    const path = await server.given(given)
    const before = await server.snapshot(path)

    const answer = await server.send('PATCH', path, [MULTIPART], multipart(...parts))

    expect(answer.status).toBe(status)
    expect(await server.snapshot(path)).toEqual(before)
  })
})
