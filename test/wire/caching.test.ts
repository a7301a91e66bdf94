/** Fields for caches: no cache serves a stale file, or a file of one user to another. */
import { describe, expect, it } from 'vitest'

import { MESSAGE, field, message } from '../support/wire/client.ts'
import { BOTH, MEMORY, letters, useServer } from '../support/wire/server.ts'
import type { Options } from '../support/wire/server.ts'

const CACHING = 'cache-control'

describe.each(BOTH)('over $name', (combination) => {
  const server = useServer(combination)

  it.each(['GET', 'HEAD'])('no cache keeps the 404 to %s before an upload', async (method) => {
    const answer = await server.send(method, server.path())

    expect(answer.status).toBe(404)
    expect(field(answer, CACHING)).toBe('no-store')
    expect(field(answer, 'content-length')).toBe('0')
  })

  it('a cache asks for a finished file each time', async () => {
    const path = await server.given('C(10)')
    const etag = await server.etag(path)

    const answers = [
      await server.head(path),
      await server.send('GET', path),
      await server.send('GET', path, ['Range: bytes=1-2']),
      await server.send('GET', path, ['Range: bytes=1-2,5-6']),
      await server.send('GET', path, [`If-None-Match: ${etag}`]),
    ]

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 206, 206, 304])
    expect(answers.map((answer) => field(answer, CACHING))).toEqual(
      answers.map(() => 'no-cache, no-transform'),
    )
  })

  it('no cache keeps an answer about an upload in progress', async () => {
    const path = await server.given('I(4/10)')

    const answers = [
      await server.head(path),
      await server.send('GET', path),
      await server.send('GET', path, ['Range: bytes=1-2']),
      await server.patch(path, 'bytes 4-5/10', 'ef'),
      await server.patch(path, 'bytes 9-9/10', 'j'),
    ]

    expect(answers.map(({ status }) => status)).toEqual([299, 299, 206, 202, 409])
    expect(answers.filter((answer) => !field(answer, CACHING)?.includes('no-store'))).toEqual([])
  })

  it.each([
    ['I(4/10)', '10'],
    ['I(0/10)', '10'],
    ['I(4/*)', null],
    ['C(10)', null],
  ])('the Upload-Length of %s is %s', async (given, length) => {
    const path = await server.given(given)
    const data = message('bytes 20-20/*', 'x')

    const answers = [
      await server.head(path),
      await server.send('GET', path),
      await server.send('PATCH', path, [MESSAGE], data),
      await server.send('PATCH', path, [MESSAGE, 'If-Match: "x"'], data),
      ...(given === 'C(10)' ? [] : [await server.patch(path, 'bytes 0-0/*', 'a')]),
    ]

    expect(answers.map((answer) => field(answer, 'upload-length'))).toEqual(
      answers.map(() => length),
    )
  })

  it('a final answer repeats the length of the resource', async () => {
    const path = server.path()

    const created = await server.patch(path, 'bytes 0-3/4', letters(4))
    const replaced = await server.send('PUT', path, [], letters(6))

    expect([created.status, field(created, 'upload-length')]).toEqual([201, '4'])
    expect([replaced.status, field(replaced, 'upload-length')]).toEqual([204, '6'])
  })

  it('every answer with content has nosniff', async () => {
    const path = await server.given('I(4/10)')
    const whole = await server.given('C(10)')

    const answers = [
      await server.send('GET', path),
      await server.send('GET', whole, ['Range: bytes=1-2']),
      await server.send('GET', whole, ['Range: bytes=20-']),
      await server.patch(path, 'bytes 4-5/10', 'ef'),
      await server.patch(path, 'bytes 9-9/10', 'j'),
      await server.send('POST', path),
    ]

    expect(answers.filter((answer) => answer.body.length === 0)).toEqual([])
    expect(answers.map((answer) => field(answer, 'x-content-type-options'))).toEqual(
      answers.map(() => 'nosniff'),
    )
  })
})

describe.each<[string, Options]>([
  ['belong to users', { owner: () => 'ann' }],
  ['depend on more than the path', { key: (_req, path) => path }],
])('where files %s', (_what, options) => {
  const server = useServer(MEMORY, options)

  it('a shared cache keeps none', async () => {
    const path = await server.given('C(10)')

    expect(field(await server.head(path), CACHING)).toBe('private, no-cache, no-transform')
  })
})

describe('where the app lets caches keep files', () => {
  const server = useServer(MEMORY, {}, [
    (_req, res, next) => {
      res.set('Cache-Control', 'public, max-age=60')
      next()
    },
  ])

  it('they keep finished ones, as they are, and no others', async () => {
    const finished = await server.head(await server.given('C(10)'))
    const begun = await server.head(await server.given('I(4/10)'))
    const absent = await server.head(server.path())

    expect(field(finished, CACHING)).toBe('public, max-age=60, no-transform')
    expect(field(begun, CACHING)).toMatch(/no-store/)
    expect(field(absent, CACHING)).toMatch(/no-store/)
  })
})

describe('without Content-Range on a 299', () => {
  const server = useServer(MEMORY, { incompleteContentRange: false })

  it('Upload-Length reports the declared length', async () => {
    const path = server.path()
    await server.patch(path, 'bytes 0-3/10', letters(4))

    for (const answer of [await server.head(path), await server.send('GET', path)]) {
      expect(answer.status).toBe(299)
      expect(field(answer, 'content-range')).toBeNull()
      expect(field(answer, 'upload-length')).toBe('10')
    }
    const part = await server.send('GET', path, ['Range: bytes=1-2'])
    expect(field(part, 'content-range')).toBe('bytes 1-2/*')
  })
})
