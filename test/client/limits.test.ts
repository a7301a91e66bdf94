import { once } from 'node:events'
import http from 'node:http'

import { describe, expect, test } from 'vitest'

import { CLIENTS, KiB, pattern, useBench } from './setup.ts'

const FILE = pattern(100 * KiB)

describe.each(CLIENTS)('upload over %s to a server that is at a limit', (_name, { upload }) => {
  const bench = useBench()

  /** Uploads, and makes room when it has to wait. Resolves with the status and problem of each wait. */
  async function uploadAgainst(makeRoom: () => unknown) {
    const refusals: unknown[] = []
    await upload(bench.url, FILE, {
      ...bench.options,
      random: () => 0,
      retries: 1000,
      onState: (status) => {
        if (status.state !== 'waiting') return
        refusals.push(status.error)
        makeRoom()
      },
    }).done
    return refusals
  }

  test.each([
    [503, 'ERR_BUSY', { maxUploads: 1 }],
    [429, 'ERR_TOO_MANY_UPLOADS', { maxUploadsPerOwner: 1, owner: () => 'a' }],
  ])('waits after a %i %s as long as it says', async (status, code, options) => {
    await bench.configure(options)
    const other = http.request(`${bench.direct}2`, {
      method: 'PUT',
      headers: { 'Content-Length': 10, Expect: '100-continue' },
    })
    other.on('error', () => undefined).flushHeaders()
    await once(other, 'continue')

    const refusals = await uploadAgainst(() => other.destroy())

    expect(refusals[0]).toMatchObject({ status, problem: { code }, transient: true })
    expect(bench.clock.waits[0]).toBeGreaterThanOrEqual(1000)
    expect((await bench.stored()).equals(FILE)).toBe(true)
  })

  test('waits after a 429 for the incomplete uploads of its owner', async () => {
    await bench.configure({ maxIncompletePerOwner: 1, owner: () => 'a' })
    const other = `${bench.direct}2`
    const range = `Content-Range: bytes 0-3/10\r\n\r\nabcd`
    await fetch(other, {
      method: 'PATCH',
      headers: { 'Content-Type': 'message/byteranges' },
      body: range,
    })

    const refusals = await uploadAgainst(() => void fetch(other, { method: 'DELETE' }))

    const problem = { code: 'ERR_TOO_MANY_UPLOADS' }
    expect(refusals[0]).toMatchObject({ status: 429, problem, transient: true })
    expect(bench.clock.waits[0]).toBeGreaterThanOrEqual(1000)
    expect((await bench.stored()).equals(FILE)).toBe(true)
  })
})
