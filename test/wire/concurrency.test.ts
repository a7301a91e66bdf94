/** Several requests that want to write to one resource. */
import { memoryLocker } from 'partial-upload'
import { describe, expect, it } from 'vitest'

import {
  CHUNKED,
  MESSAGE,
  MULTIPART,
  chunk,
  chunked,
  field,
  json,
  message,
  request,
} from '../support/wire/client.ts'
import { BOTH, FS, MEMORY, letters, useServer } from '../support/wire/server.ts'
import { withTimes } from '../support/storage/lock-times.ts'
import { finish, startWriting } from '../support/wire/writer.ts'

const FOREVER = 60_000

describe.each(BOTH)('a writer over $name whose client counts as active', (combination) => {
  const server = useServer(combination, {
    locker: withTimes(memoryLocker(), { wait: 200, stall: FOREVER }),
  })

  it('is not revoked by reads, which do not wait', async () => {
    const path = server.path()
    const writer = await startWriting(server, path)

    const answers = [
      await server.send('HEAD', path),
      await server.send('GET', path),
      await server.send('GET', path, ['Range: bytes=1-2']),
      await server.send('OPTIONS', path),
    ]

    expect(answers.map((answer) => answer.status)).toEqual([299, 299, 206, 204])
    expect((await finish(writer).answer()).status).toBe(201)
  })

  it.each<readonly [string, string, readonly string[], Uint8Array | string, number]>([
    [
      'a false precondition',
      'PATCH',
      [MESSAGE, 'If-None-Match: *'],
      message('bytes 0-3/10', 'ABCD'),
      412,
    ],
    ['garbage', 'PATCH', [MESSAGE], 'garbage', 400],
    ['a malformed range', 'PATCH', [MESSAGE], message('bytes 3-0/10', 'ABCD'), 400],
    ['a malformed multipart', 'PATCH', [MULTIPART], '--SEP\r\ngarbage', 400],
    ['another type', 'PATCH', ['Content-Type: text/plain'], 'ABCD', 415],
    ['a malformed range', 'PUT', ['Content-Range: bytes 3-0/4'], 'ABCD', 400],
    ['a false precondition', 'PUT', ['If-None-Match: *'], 'ABCD', 412],
    ['a false precondition', 'DELETE', ['If-Match: "other"'], '', 412],
    ['its method', 'POST', [], 'ABCD', 405],
  ])(
    'is not revoked by a request refused for %s: %s',
    async (_why, method, fields, body, status) => {
      const path = server.path()
      const writer = await startWriting(server, path)

      const refused = await server.send(method, path, fields, body)

      expect(refused.status).toBe(status)
      expect((await finish(writer).answer()).status).toBe(201)
      expect((await server.snapshot(path)).bytes).toBe(letters(10))
    },
  )

  it.each([
    ['PATCH', [MESSAGE], message('bytes 4-5/10', 'EF')],
    ['PATCH', [MESSAGE, CHUNKED], chunked(message('bytes 4-5/10', 'EF'))],
    ['PUT', [], Buffer.from('new')],
  ])('has others wait, then refuses them with Retry-After: %s %j', async (method, fields, body) => {
    const path = server.path()
    const writer = await startWriting(server, path)

    const refused = await server.send(method, path, fields, body)

    expect([refused.status, field(refused, 'retry-after')]).toEqual([409, '1'])
    expect(json(refused)).toMatchObject({ status: 409 })
    expect((await finish(writer).answer()).status).toBe(201)
    expect((await server.snapshot(path)).bytes).toBe(letters(10))
  })

  it('is revoked by DELETE at once, and cannot create the resource again', async () => {
    const path = server.path()
    const writer = await startWriting(server, path)

    const deleted = await server.send('DELETE', path)
    const answer = await finish(writer).answerOrClose()

    expect(deleted.status).toBe(204)
    expect([undefined, 409]).toContain(answer?.status)
    await server.idle(path)
    expect(await server.state(path)).toBe('∅')
  })

  it('does not lock other resources', async () => {
    await startWriting(server, server.path())

    const answer = await server.patch(server.path(), 'bytes 0-3/4', 'abcd')

    expect(answer.status).toBe(201)
  })
})

describe('a newcomer', () => {
  const server = useServer(MEMORY, { lockTimeout: FOREVER })

  it('writes as soon as the writer has finished', async () => {
    const path = server.path()
    const writer = await startWriting(server, path)
    const newcomer = await server.connect()
    newcomer.send(request('PATCH', path, [MESSAGE], message('bytes 0-0/10', 'A')))
    await server.head(path)

    const first = await finish(writer).answer()
    const second = await newcomer.answer()

    expect([first.status, second.status]).toEqual([201, 204])
    expect((await server.snapshot(path)).bytes).toBe(`A${letters(10).slice(1)}`)
  })

  it('writes as soon as the writer has disconnected', async () => {
    const path = server.path()
    const writer = await startWriting(server, path)
    const newcomer = await server.connect()
    newcomer.send(request('PATCH', path, [MESSAGE], message('bytes 4-9/10', 'EFGHIJ')))
    await server.head(path)

    writer.close()

    expect((await newcomer.answer()).status).toBe(201)
    expect((await server.snapshot(path)).bytes).toBe('abcdEFGHIJ')
  })

  it('that disconnects while it waits does not disturb the others', async () => {
    const path = server.path()
    const writer = await startWriting(server, path)
    const newcomer = await server.connect()
    newcomer.send(request('PATCH', path, [MESSAGE], message('bytes 0-0/10', 'A')))
    await server.head(path)

    newcomer.close()
    const first = await finish(writer).answer()
    const other = await server.patch(path, 'bytes 9-9/10', 'J')

    expect([first.status, other.status]).toEqual([201, 204])
  })

  it('has its preconditions evaluated against the result of the writer', async () => {
    const path = server.path()
    const writer = await startWriting(server, path)
    const tag = await server.etag(path)
    const newcomer = await server.connect()
    const fields = [MESSAGE, `If-Match: ${tag}`]
    newcomer.send(request('PATCH', path, fields, message('bytes 4-9/10', 'EFGHIJ')))
    await server.head(path)

    const first = await finish(writer).answer()
    const second = await newcomer.answer()

    expect([first.status, second.status]).toEqual([201, 412])
    expect((await server.snapshot(path)).bytes).toBe(letters(10))
  })
})

describe.each(BOTH)('a writer over $name that has stalled', (combination) => {
  const server = useServer(combination, {
    locker: withTimes(memoryLocker(), { wait: 6000, stall: 150 }),
  })

  it.each([
    ['PATCH', [MESSAGE], message('bytes 4-9/10', 'EFGHIJ'), 201, 'abcdEFGHIJ'],
    ['PATCH', [MESSAGE], message('bytes 2-9/10', 'cdEFGHIJ'), 201, 'abcdEFGHIJ'],
    ['PUT', [], Buffer.from('new'), 201, 'new'],
  ])('is revoked by a %s and never writes again', async (method, fields, body, status, bytes) => {
    const path = server.path()
    const writer = await startWriting(server, path)

    const answer = await server.send(method, path, fields, body)

    expect(answer.status).toBe(status)
    const displaced = await finish(writer).answerOrClose()
    expect([undefined, 409]).toContain(displaced?.status)
    await writer.closed()
    await server.idle(path)
    expect((await server.snapshot(path)).bytes).toBe(bytes)
  })

  it('leaves its bytes, against which a waiting request is evaluated', async () => {
    const path = await server.given('I(2/10)')
    const tag = await server.etag(path)
    const writer = await server.connect()
    writer.send(request('PATCH', path, [MESSAGE, CHUNKED]))
    writer.send(chunk(message('bytes 2-9/10', 'cd')))
    await server.becomes(path, 'I(4/10)')

    const stale = await server.patch(path, 'bytes 2-9/10', 'CDEFGHIJ', `If-Match: ${tag}`)

    expect(stale.status).toBe(412)
    expect(await server.snapshot(path)).toMatchObject({ state: 'I(4/10)', bytes: 'abcd' })
  })
})

describe('a writer whose bytes arrive steadily', () => {
  const server = useServer(MEMORY, { lockTimeout: 2000 })

  it('keeps the lock beyond lockTimeout', async () => {
    const path = server.path()
    const writer = await server.connect()
    writer.send(request('PATCH', path, [MESSAGE, CHUNKED]), chunk(message('bytes 0-999/*', 'x')))
    await server.becomes(path, 'I(1/*)')
    const trickle = setInterval(() => writer.send(chunk('x')), 20)

    const refused = await server.patch(path, 'bytes 0-0/*', 'A')
    clearInterval(trickle)

    expect([refused.status, field(refused, 'retry-after')]).toEqual([409, '1'])
    expect(writer.isOpen).toBe(true)
  })
})

describe.each(BOTH)('simultaneous creations over $name', (combination) => {
  const server = useServer(combination)
  const fifty = Array.from({ length: 50 }, (_, index) => String.fromCharCode(65 + (index % 26)))

  it.each([
    ['segments', 'bytes 0-3/10', [MESSAGE], 'I(4/10)'],
    ['whole resources', 'bytes 0-3/4', [MESSAGE], 'C(4)'],
  ])('of %s with If-None-Match: * have one winner', async (_what, range, types, then) => {
    const path = server.path()
    const fields = [...types, 'If-None-Match: *']

    const answers = await Promise.all(
      fifty.map(async (letter) =>
        server.send('PATCH', path, fields, message(range, letter.repeat(4))),
      ),
    )

    const winners = fifty.filter((_, index) => (answers[index]?.status ?? 0) < 300)
    const others = answers.filter((answer) => answer.status >= 300)
    expect(winners).toHaveLength(1)
    for (const { status } of others) expect([409, 412]).toContain(status)
    expect(await server.snapshot(path)).toMatchObject({ state: then, bytes: winners[0]?.repeat(4) })
  })

  it('by PUT with If-None-Match: * have one winner', async () => {
    const path = server.path()

    const answers = await Promise.all(
      fifty.map(async (letter) => server.send('PUT', path, ['If-None-Match: *'], letter.repeat(4))),
    )

    const statuses = answers.map((answer) => answer.status)
    expect(statuses.filter((status) => status === 201)).toHaveLength(1)
    expect(statuses.filter((status) => status === 412 || status === 409)).toHaveLength(49)
  })

  it('without preconditions follow each other', async () => {
    const path = server.path()

    const answers = await Promise.all(
      fifty.map(async () => server.patch(path, 'bytes 0-3/10', 'abcd')),
    )

    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([202]))
    expect(await server.snapshot(path)).toMatchObject({ state: 'I(4/10)', bytes: 'abcd' })
  })
})

describe('simultaneous appends', () => {
  const server = useServer(FS)

  it('with If-Match of one version have one winner', async () => {
    const path = await server.given('I(4/10)')
    const tag = await server.etag(path)

    const answers = await Promise.all(
      ['EF', 'ef', '12', '34'].map(async (data) =>
        server.patch(path, 'bytes 4-5/10', data, `If-Match: ${tag}`),
      ),
    )

    const statuses = answers.map((answer) => answer.status).toSorted((a, b) => a - b)
    expect(statuses).toEqual([202, 412, 412, 412])
  })
})
