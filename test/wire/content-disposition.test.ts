/** Content-Disposition (RFC 6266): GET and HEAD return the name and the time of the file. */
import { describe, expect, it } from 'vitest'

import { MESSAGE, MULTIPART, field, json, message } from '../support/wire/client.ts'
import { BOTH, MEMORY, letters, useServer } from '../support/wire/server.ts'
import type { TestServer } from '../support/wire/server.ts'

const NAMED =
  'attachment; filename*=UTF-8\'\'na%C3%AFve.txt; modification-date="Wed, 12 Feb 1997 16:29:51 +0000"'
const OTHER = 'inline; filename="other.txt"'

function part(range: string, value: string): string {
  return `${range}\r\nContent-Disposition: ${value}`
}

async function served(server: TestServer, path: string): Promise<string | null> {
  return field(await server.head(path), 'content-disposition')
}

describe.each(BOTH)('over $name', (combination) => {
  const server = useServer(combination)

  it('the first part names the resource, in progress and finished', async () => {
    const path = server.path()

    await server.patch(path, part('bytes 0-3/10', NAMED), 'abcd')
    const half = [await server.head(path), await server.send('GET', path)]
    await server.patch(path, 'bytes 4-9/10', 'efghij')
    const whole = [
      await server.head(path),
      await server.send('GET', path),
      await server.send('GET', path, ['Range: bytes=2-3']),
    ]

    const answers = [...half, ...whole]
    expect(answers.map(({ status }) => status)).toEqual([299, 299, 200, 200, 206])
    expect(answers.map((answer) => field(answer, 'content-disposition'))).toEqual(
      answers.map(() => NAMED),
    )
  })

  it('a PUT names it in the header', async () => {
    const path = server.path()

    await server.send('PUT', path, [`Content-Disposition: ${NAMED}`], 'abc')
    const named = await served(server, path)
    await server.send('PUT', path, [], 'abc')

    expect([named, await served(server, path)]).toEqual([NAMED, null])
  })

  it('a cut upload keeps the name of its first segment', async () => {
    const path = server.path()
    const chunks = await server.connect()
    const head = message(part('bytes 0-9/10', NAMED), 'abcd').toString('latin1')
    chunks.send(
      `PATCH ${path} HTTP/1.1\r\nHost: test\r\n${MESSAGE}\r\nTransfer-Encoding: chunked\r\n\r\n`,
      `${head.length.toString(16)}\r\n${head}\r\n`,
    )
    await server.becomes(path, 'I(4/10)')
    chunks.close()
    await server.idle(path)

    expect(await served(server, path)).toBe(NAMED)
  })

  it.each(['I(4/10)', 'C(10)'])(
    'a later part of %s that repeats it changes nothing',
    async (given) => {
      const path = await server.given(given)
      await server.patch(path, part('bytes 0-1/10', NAMED), 'ab')
      const before = await server.snapshot(path)

      const requoted = NAMED.replace('attachment;', 'ATTACHMENT ;')
      const answers = [
        await server.patch(path, part('bytes 0-1/10', NAMED), 'ab'),
        await server.patch(path, part('bytes 0-1/10', requoted), 'ab'),
        await server.patch(path, 'bytes 0-1/10', 'ab'),
      ]

      expect(answers.map(({ status }) => status)).toEqual(
        answers.map(() => (given === 'C(10)' ? 204 : 202)),
      )
      expect(await server.snapshot(path)).toEqual(before)
      expect(await served(server, path)).toBe(NAMED)
    },
  )

  it.each(['I(4/10)', 'C(10)'])('a later part of %s replaces it with the bytes', async (given) => {
    const path = await server.given(given)
    await server.patch(path, part('bytes 0-1/10', NAMED), 'ab')
    const before = await server.snapshot(path)

    await server.patch(path, part('bytes 0-1/10', OTHER), 'XY')

    const after = await server.snapshot(path)
    expect([after.bytes.slice(0, 2), await served(server, path)]).toEqual(['XY', OTHER])
    expect(after.etag).not.toBe(before.etag)
  })

  it('a refused write leaves it', async () => {
    const path = await server.given('I(4/10)')
    await server.patch(path, part('bytes 0-1/10', NAMED), 'ab')

    await server.patch(path, part('bytes 4-5/9', OTHER), 'ef')
    await server.patch(path, part('bytes 4-5/10', OTHER), 'e')

    expect(await served(server, path)).toBe(NAMED)
  })

  it('a segment without data can bring it', async () => {
    const path = await server.given('I(4/*)')

    await server.patch(path, part('bytes */4', NAMED))

    expect([await server.state(path), await served(server, path)]).toEqual(['C(4)', NAMED])
  })

  it('a multipart has one value', async () => {
    const document = (second: string): string =>
      [
        `--SEP\r\n${message(part('bytes 0-1/4', NAMED), 'ab').toString('latin1')}`,
        `--SEP\r\n${second}`,
        '--SEP--',
      ].join('\r\n')
    const twice = document(message(part('bytes 2-3/4', NAMED), 'cd').toString('latin1'))
    const once = document(message('bytes 2-3/4', 'cd').toString('latin1'))
    const different = document(message(part('bytes 2-3/4', OTHER), 'cd').toString('latin1'))

    for (const [content, status] of [
      [twice, 201],
      [once, 201],
      [different, 400],
    ] as const) {
      const path = server.path()
      const answer = await server.send('PATCH', path, [MULTIPART], content)
      expect(answer.status).toBe(status)
      expect(await served(server, path)).toBe(status === 201 ? NAMED : null)
    }
  })

  it.each([
    'filename=a',
    'attachment; filename=a; filename=b',
    'attachment; filename="\xfc"',
    `attachment; filename=${'a'.repeat(1024)}`,
    'attachment; modification-date="1997"',
    "attachment; filename*=UTF-8''%FF",
    'attachment\r\nContent-Disposition: inline',
  ])('a malformed one is refused before anything is stored: %j', async (value) => {
    const path = server.path()

    const answers = [
      await server.patch(path, part('bytes 0-3/4', value), 'abcd'),
      await server.send('PUT', path, [`Content-Disposition: ${value}`], 'abcd'),
    ]

    expect(answers.map((answer) => json(answer))).toMatchObject([
      { status: 400, code: 'ERR_FIELD' },
      { status: 400, code: 'ERR_FIELD' },
    ])
    expect(await server.state(path)).toBe('∅')
  })

  it('no error answer has the field', async () => {
    const path = await server.given('C(10)')
    await server.patch(path, part('bytes 0-1/10', NAMED), 'ab')

    const answer = await server.send('GET', path, ['Range: bytes=20-'])

    expect([answer.status, field(answer, 'content-disposition')]).toEqual([416, null])
  })
})

describe('where the app sets the field itself', () => {
  const server = useServer(MEMORY, {}, [
    (_req, res, next) => {
      res.set('Content-Disposition', 'attachment')
      next()
    },
  ])

  it('the value of the client is not served', async () => {
    const path = server.path()

    await server.send('PUT', path, [`Content-Disposition: ${OTHER}`], letters(3))

    expect(await served(server, path)).toBe('attachment')
  })
})

describe('where a finished resource must not change', () => {
  const server = useServer(MEMORY, { finished: 'immutable' })

  it('its name does not change', async () => {
    const path = server.path()
    await server.patch(path, part('bytes 0-3/4', NAMED), 'abcd')

    const same = await server.patch(path, part('bytes 0-3/4', NAMED.replace('; f', ';f')), 'abcd')
    const other = await server.patch(path, part('bytes 0-3/4', OTHER), 'abcd')

    expect([same.status, other.status, await served(server, path)]).toEqual([204, 409, NAMED])
  })
})
