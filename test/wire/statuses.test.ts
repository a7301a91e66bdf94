/** The statuses that an app may choose. */
import { partialUpload } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { describe, expect, it } from 'vitest'

import { field } from '../support/wire/client.ts'
import { MEMORY, useServer } from '../support/wire/server.ts'
import type { Options } from '../support/wire/server.ts'

/** Preset → the statuses of a segment, of HEAD meanwhile, of the last segment. */
const PRESETS: readonly (readonly [Options, number, number, readonly number[]])[] = [
  [{}, 202, 299, [201]],
  [{ preset: 'seed' }, 202, 299, [201]],
  [{ preset: '2019-06' }, 299, 299, [200, 201]],
  [{ preset: 'ietf' }, 200, 200, [200]],
  [{ incompleteStatus: 218, segmentStatus: 200, createdStatus: 200 }, 200, 218, [200]],
]

describe.each(PRESETS)('with %o', (options, segment, incomplete, final) => {
  const server = useServer(MEMORY, options)

  it(`answers a segment ${segment}, a question ${incomplete}, the last one ${final.join()}`, async () => {
    const path = server.path()

    const first = await server.patch(path, 'bytes 0-3/6', 'abcd')
    const head = await server.head(path)
    const get = await server.send('GET', path)
    const last = await server.patch(path, 'bytes 4-5/6', 'ef')

    expect([first.status, head.status, get.status]).toEqual([segment, incomplete, incomplete])
    expect(field(head, 'content-range')).toBe('bytes 0-3/6')
    expect(final).toContain(last.status)
    expect((await server.head(path)).status).toBe(200)
  })
})

describe('gapStatus and modifiedStatus', () => {
  const server = useServer(MEMORY, { gapStatus: 416, modifiedStatus: 200 })

  it.each([
    ['I(4/10)', 'bytes 5-6/10', 416],
    ['C(10)', 'bytes 1-2/10', 200],
  ])('answer %s "%s" by %i', async (given, range, status) => {
    const path = await server.given(given)

    const answer = await server.patch(path, range, 'XY')

    expect(answer.status).toBe(status)
  })
})

describe('a status that would mislead clients', () => {
  it.each([
    [{ incompleteStatus: 201 }],
    [{ incompleteStatus: 206 }],
    [{ incompleteStatus: 208 }],
    [{ incompleteStatus: 226 }],
    [{ incompleteStatus: 300 }],
    [{ incompleteStatus: 404 }],
    [{ segmentStatus: 206 }],
    [{ createdStatus: 404 }],
    [{ preset: 'nobody' }],
  ])('is refused at set-up: %o', (options) => {
    const create = () => partialUpload({ storage: memoryStorage(), ...options } as never)

    expect(create).toThrow(TypeError)
  })

  it.each([200, 209, 225, 227, 299])('is not %i', (incompleteStatus) => {
    expect(() => partialUpload({ storage: memoryStorage(), incompleteStatus })).not.toThrow()
  })
})
