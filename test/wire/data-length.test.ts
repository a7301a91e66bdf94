/** Data that is shorter or longer than its range, in content that ends properly. */
import { describe, expect, it } from 'vitest'

import { CHUNKED, MESSAGE, chunked, json, message } from '../support/wire/client.ts'
import { EXPRESSES, MEMORY, letters, useServer } from '../support/wire/server.ts'

type Row = readonly [given: string, contentRange: string, data: string]

const SHORT: readonly Row[] = [
  ['∅', 'bytes 0-3/10', ''],
  ['∅', 'bytes 0-3/10', 'ABC'],
  ['∅', 'bytes 0-3/*', 'ABC'],
  ['∅', 'bytes 0-9/10', 'ABCDEFGHI'],
  ['I(4/10)', 'bytes 4-5/10', 'E'],
  ['I(4/10)', 'bytes 4-9/10', 'EFGHI'],
  ['I(4/10)', 'bytes 4-9/10', ''],
  ['I(4/*)', 'bytes 4-9/*', 'EF'],
  ['I(4/10)', 'bytes 2-5/10', 'cd'],
  ['C(10)', 'bytes 0-9/10', 'ABCDEFGHI'],
  ['C(10)', 'bytes 10-11/12', 'K'],
]

const LONG: readonly Row[] = [
  ['∅', 'bytes 0-3/10', 'ABCDE'],
  ['∅', 'bytes 0-3/4', 'ABCDE'],
  ['∅', 'bytes 0-3/*', 'ABCDEFGH'],
  ['∅', 'bytes */10', 'A'],
  ['I(4/10)', 'bytes 4-5/10', 'EFG'],
  ['I(4/10)', 'bytes 4-9/10', 'EFGHIJK'],
  ['I(4/*)', 'bytes 4-5/*', 'EFG'],
  ['I(4/10)', 'bytes 2-5/10', 'cdEFG'],
  ['C(10)', 'bytes 0-9/10', 'ABCDEFGHIJK'],
  ['C(10)', 'bytes 10-11/12', 'KLM'],
]

describe.each(EXPRESSES)('data over $name', (combination) => {
  const server = useServer(combination)

  it.each([...SHORT, ...LONG])(
    'to %s of "%s" is refused before anything is written when it is "%s"',
    async (given, range, data) => {
      const path = await server.given(given)
      const before = await server.snapshot(path)

      const answer = await server.patch(path, range, data)

      expect(json(answer)).toMatchObject({ status: 400 })
      expect(answer.status).toBe(400)
      expect(await server.snapshot(path)).toEqual(before)
    },
  )

  it.each(LONG)(
    'to %s of "%s" is refused and rolled back when it turns out to be "%s"',
    async (given, range, data) => {
      const path = await server.given(given)
      const before = await server.snapshot(path)

      const body = chunked(message(range, data.slice(0, 3)), data.slice(3))
      const answer = await server.send('PATCH', path, [MESSAGE, CHUNKED], body)

      const after = await server.snapshot(path)
      expect(answer.status).toBe(400)
      expect([after.state, after.bytes]).toEqual([before.state, before.bytes])
    },
  )

  it.each(SHORT)(
    'to %s of "%s" is refused when it turns out to be "%s", and HEAD reports what is kept',
    async (given, range, data) => {
      const path = await server.given(given)
      const before = await server.snapshot(path)

      const body = chunked(message(range, data))
      const answer = await server.send('PATCH', path, [MESSAGE, CHUNKED], body)

      const after = await server.snapshot(path)
      const received = Math.max(before.bytes.length, firstOf(range) + data.length)
      expect(answer.status).toBe(400)
      if (given === 'C(10)') expect(after).toEqual(before)
      else expect(after.state).toMatch(/^[∅I]/)
      expect(after.bytes.length).toBeGreaterThanOrEqual(before.bytes.length)
      expect(after.bytes.length).toBeLessThanOrEqual(received)
      expect(after.bytes.toLowerCase()).toBe(letters(after.bytes.length))
    },
  )

  it.each(SHORT)(
    'to %s of "%s" leaves nothing when an atomic patch turns out to be "%s"',
    async (given, range, data) => {
      const path = await server.given(given)
      const before = await server.snapshot(path)

      const fields = [MESSAGE, CHUNKED, 'Prefer: transaction=atomic']
      const answer = await server.send('PATCH', path, fields, chunked(message(range, data)))

      expect(answer.status).toBe(400)
      expect(await server.snapshot(path)).toEqual(before)
    },
  )
})

describe('content that is far longer than its range', () => {
  const server = useServer(MEMORY)
  const megabyte = 'x'.repeat(1 << 20)

  it.each(['∅', 'I(4/10)', 'C(10)'])('is refused and leaves %s unchanged', async (given) => {
    const path = await server.given(given)
    const before = await server.snapshot(path)

    const body = chunked(message('bytes 0-3/10', 'abcd'), megabyte, megabyte)
    const answer = await server.send('PATCH', path, [MESSAGE, CHUNKED], body)

    const after = await server.snapshot(path)
    expect(answer.status).toBe(400)
    expect([after.state, after.bytes]).toEqual([before.state, before.bytes])
  })
})

describe('data of every byte value', () => {
  const server = useServer(MEMORY)
  const bytes = Uint8Array.from({ length: 1024 }, (_, index) => (index * 7) % 256)

  it.each([1, 2, 3, 5, 100, 511, 1023])('is stored unchanged, cut at %i', async (cut) => {
    const path = server.path()
    const document = message('bytes 0-1023/1024', bytes)
    const start = document.length - 1024

    const body = chunked(document.subarray(0, start + cut), document.subarray(start + cut))
    const answer = await server.send('PATCH', path, [MESSAGE, CHUNKED], body)

    const stored = await server.send('GET', path)
    expect(answer.status).toBe(201)
    expect(stored.body.equals(bytes)).toBe(true)
  })
})

function firstOf(contentRange: string): number {
  return Number(/\d+/.exec(contentRange)?.[0])
}
