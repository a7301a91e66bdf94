import { describe, expect, test } from 'vitest'

import { CLIENTS, KiB, pattern, useBench } from '../support/client/setup.ts'

const FILE = pattern(100 * KiB)

describe.each(CLIENTS)('patch over %s', (_name, { patch, remove, status }) => {
  const bench = useBench()

  async function expectStored(changes: readonly (readonly [number, string])[]): Promise<void> {
    const expected = Buffer.from(FILE)
    for (const [start, text] of changes) expected.write(text, start)
    expect((await bench.stored()).equals(expected)).toBe(true)
  }

  test('writes one range', async () => {
    await bench.storePrefix(FILE, FILE.length)

    const response = await patch(bench.url, [{ start: 10, data: Buffer.from('hello') }])

    expect(response.status).toBe(204)
    await expectStored([[10, 'hello']])
    expect(bench.proxy.seen[0]?.headers).toMatchObject({
      'content-type': 'message/byteranges',
      'if-match': '*',
    })
  })

  test('writes several ranges at once', async () => {
    await bench.storePrefix(FILE, FILE.length)
    const ranges = [
      { start: 10, data: new Blob(['hello']) },
      { start: 50_000, data: Buffer.from('world') },
    ]

    const response = await patch(bench.url, ranges)

    expect(response.status).toBe(204)
    await expectStored([
      [10, 'hello'],
      [50_000, 'world'],
    ])
    expect(bench.proxy.seen).toHaveLength(1)
  })

  test('refuses a range without bytes before it sends anything', async () => {
    const ranges = [{ start: 10, data: new Blob([]) }]

    await expect(async () => patch(bench.url, ranges)).rejects.toThrow('a range has no bytes')

    expect(bench.proxy.seen).toEqual([])
  })

  test('shortens a resource, and gives it a type', async () => {
    await bench.storePrefix(FILE, FILE.length)

    await patch(bench.url, [], { length: 1000, contentType: 'text/plain' })

    expect(await status(bench.url)).toMatchObject({ size: 1000, complete: true })
  })

  test('does not change another version', async () => {
    await bench.storePrefix(FILE, FILE.length)

    const failed = patch(bench.url, [{ start: 0, data: FILE }], { ifMatch: '"other"' })

    await expect(failed).rejects.toMatchObject({
      status: 412,
      problem: { code: 'ERR_PRECONDITION' },
    })
    await expectStored([])
  })

  test('does not create a resource', async () => {
    await expect(patch(bench.url, [{ start: 0, data: FILE }])).rejects.toMatchObject({
      status: 412,
    })
  })

  test('refuses a patch that changes nothing', async () => {
    const refusal = new TypeError('expected a range or `length`')
    await expect(patch(bench.url, [])).rejects.toThrow(refusal)
  })

  test('is not applied twice when its answer was lost', async () => {
    await bench.storePrefix(FILE, FILE.length)
    const etag = (await status(bench.url))?.etag ?? ''
    bench.proxy.fail('PATCH', { kind: 'lose' })
    const ranges = [
      { start: 10, data: new Blob(['hello']) },
      { start: 50_000, data: Buffer.from('world') },
    ]

    const response = await patch(bench.url, ranges, { ...bench.options, ifMatch: etag })

    expect(response.status).toBe(200)
    expect(bench.proxy.seen.filter(({ method }) => method === 'PATCH')).toHaveLength(2)
    await expectStored([
      [10, 'hello'],
      [50_000, 'world'],
    ])
  })

  test('is refused when the answer was lost and another client has written', async () => {
    await bench.storePrefix(FILE, FILE.length)
    const etag = (await status(bench.url))?.etag ?? ''
    bench.proxy.fail('PATCH', { kind: 'swallow', after: 1 })
    bench.proxy.fail('PATCH', {
      kind: 'first',
      act: async () => {
        await patch(bench.direct, [{ start: 0, data: Buffer.from('other') }])
      },
    })

    const failed = patch(bench.url, [{ start: 10, data: Buffer.from('hello') }], {
      ...bench.options,
      ifMatch: etag,
    })

    await expect(failed).rejects.toMatchObject({ status: 412 })
  })

  test('compares all bytes of a range when the answer was lost and another client has written', async () => {
    await bench.storePrefix(FILE, FILE.length)
    const etag = (await status(bench.url))?.etag ?? ''
    const data = Buffer.from(FILE)
    data[FILE.length / 2]! ^= 1
    bench.proxy.fail('PATCH', { kind: 'swallow', after: 1 })
    bench.proxy.fail('PATCH', {
      kind: 'first',
      act: async () => {
        await patch(bench.direct, [{ start: 5, data: FILE.subarray(5, 6) }], {
          contentType: 'text/plain',
        })
      },
    })

    const failed = patch(bench.url, [{ start: 0, data }], { ...bench.options, ifMatch: etag })

    await expect(failed).rejects.toMatchObject({ status: 412 })
    await expectStored([])
  })

  test('is exported beside remove, which removes a resource', async () => {
    await bench.storePrefix(FILE, FILE.length)

    await remove(bench.url)

    expect(await status(bench.url)).toBeNull()
  })

  test('can be aborted', async () => {
    const signal = AbortSignal.abort()

    await expect(patch(bench.url, [{ start: 0, data: FILE }], { signal })).rejects.toBe(
      signal.reason,
    )
  })
})
