/** Want-Repr-Digest (RFC 9530 §4): the digest of one version, which is that of the entity tag. */
import { describe, expect, it } from 'vitest'

import { digest } from '../support/digest.ts'
import { field } from '../support/wire/client.ts'
import { BOTH, MEMORY, letters, useServer } from '../support/wire/server.ts'

const WANT = 'Want-Repr-Digest: sha-256=10'

describe.each(BOTH)('over $name', (combination) => {
  const server = useServer(combination)

  it.each([
    ['I(4/10)', 4],
    ['I(0/10)', 0],
    ['I(4/*)', 4],
    ['C(10)', 10],
  ])('HEAD and GET of %s have the digest of the stored bytes', async (given, size) => {
    const path = await server.given(given)

    const answers = [
      await server.send('HEAD', path, [WANT]),
      await server.send('GET', path, [WANT]),
      await server.send('GET', path, [WANT, 'Range: bytes=1-2']),
    ]

    expect(answers.map((answer) => field(answer, 'repr-digest'))).toEqual(
      answers.map(() => digest(letters(size))),
    )
    const etag = await server.etag(path)
    expect(answers.map((answer) => field(answer, 'etag'))).toEqual([etag, etag, etag])
    expect(answers[1]!.body.toString()).toBe(letters(size))
  })

  it.each([
    ['sha-512=3', digest(letters(4), 'sha-512')],
    ['sha-256=1, sha-512=9', digest(letters(4), 'sha-512')],
    ['sha-512=9,sha-256=9', digest(letters(4))],
    ['md5=10, sha-256=0, sha-512=1', digest(letters(4), 'sha-512')],
    ['sha-256=0', null],
    ['md5=3', null],
    ['sha-256', null],
    ['sha-256=11', null],
    ['sha-256=:AA==:', null],
    ['', null],
  ])('%j is answered with %j', async (wanted, expected) => {
    const path = await server.given('I(4/10)')

    const answer = await server.send('HEAD', path, [`Want-Repr-Digest: ${wanted}`])

    expect([answer.status, field(answer, 'repr-digest')]).toEqual([299, expected])
  })

  it('is not sent for an upload in progress unless a client asks', async () => {
    const path = server.path()
    await server.patch(path, 'bytes 0-3/10', 'abcd', `Repr-Digest: ${digest(letters(10))}`)

    expect(field(await server.head(path), 'repr-digest')).toBeNull()
    const asked = await server.send('HEAD', path, [WANT])
    expect(field(asked, 'repr-digest')).toBe(digest(letters(4)))
  })

  it('the stored digest of a finished file is joined by the requested one', async () => {
    const path = server.path()
    const stored = digest(letters(4), 'sha-512')
    await server.patch(path, 'bytes 0-3/4', 'abcd', `Repr-Digest: ${stored}`)

    const same = await server.send('HEAD', path, ['Want-Repr-Digest: sha-512=1'])
    const other = await server.send('HEAD', path, [WANT])

    expect(field(same, 'repr-digest')).toBe(stored)
    expect(field(other, 'repr-digest')).toBe(`${stored}, ${digest(letters(4))}`)
  })

  it('a write that finishes a file answers with it, and no other write does', async () => {
    const path = server.path()

    const answers = [
      await server.patch(path, 'bytes 0-3/6', 'abcd', WANT),
      await server.patch(path, 'bytes 4-5/6', 'ef', WANT),
      await server.patch(path, 'bytes 5-5/6', 'f', WANT),
      await server.send('PUT', path, [WANT], letters(9)),
      await server.send('PUT', path, [], letters(9)),
    ]

    expect(answers.map(({ status }) => status)).toEqual([202, 201, 204, 204, 204])
    expect(answers.map((answer) => field(answer, 'repr-digest'))).toEqual([
      null,
      digest(letters(6)),
      digest(letters(6)),
      digest(letters(9)),
      null,
    ])
  })

  it('neither a 304, a 404 nor a 416 has one', async () => {
    const path = await server.given('C(10)')
    await server.send('PUT', path, [`Repr-Digest: ${digest(letters(4))}`], letters(4))
    const etag = await server.etag(path)

    const answers = [
      await server.send('HEAD', server.path(), [WANT]),
      await server.send('GET', path, [WANT, 'Range: bytes=20-']),
    ]

    expect(answers.map((answer) => field(answer, 'repr-digest'))).toEqual([null, null])
    expect((await server.send('GET', path, [WANT, `If-None-Match: ${etag}`])).status).toBe(304)
  })

  it('large content is hashed as well', async () => {
    const path = server.path()
    const content = Buffer.alloc(9 * 1024 * 1024, 'abcdefghi')
    await server.send('PUT', path, [], content)

    const answer = await server.send('HEAD', path, [WANT])

    expect(field(answer, 'repr-digest')).toBe(digest(content))
  })
})

describe('with content of its own', () => {
  const server = useServer(MEMORY, { onComplete: () => ({ body: 'thanks' }) })

  it('an answer with content has no digest of the file', async () => {
    const answer = await server.send('PUT', server.path(), [WANT], 'abc')

    expect([answer.body.toString(), field(answer, 'repr-digest')]).toEqual(['thanks', null])
  })
})
