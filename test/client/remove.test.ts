import { describe, expect, test } from 'vitest'

import { CLIENTS, KiB, pattern, useBench } from '../support/client/setup.ts'

const FILE = pattern(KiB)

describe.each(CLIENTS)('remove with `ifMatch` over %s', (_name, { remove, status }) => {
  const bench = useBench()

  test('removes the version with this tag', async () => {
    await bench.storePrefix(FILE, KiB)
    const { etag } = (await status(bench.url)) ?? {}

    expect(await remove(bench.url, { ifMatch: etag ?? '' })).toBe(true)
    expect(await bench.state()).toBe('∅')
  })

  test('does not remove a later version', async () => {
    await bench.storePrefix(FILE, KiB)
    const { etag } = (await status(bench.url)) ?? {}
    await fetch(bench.direct, { method: 'PUT', body: pattern(10) })

    await expect(remove(bench.url, { ifMatch: etag ?? '' })).rejects.toMatchObject({ status: 412 })
    expect(await bench.state()).toBe('C(10)')
  })

  test('returns false for a resource that does not exist', async () => {
    expect(await remove(bench.url, { ifMatch: '"a"' })).toBe(false)
  })
})
