/** Content is read in slices, so that one client with much content does not block the others. */
import { afterEach, expect, it, vi } from 'vitest'

import { handlerFor, request } from '../../support/plain.ts'

const SIZE = 4 * 1024 * 1024
const CHUNK = 64 * 1024

afterEach(() => vi.restoreAllMocks())

it.each([
  ['parsed', {}],
  ['hashed', { 'Content-Digest': `sha-256=:${btoa('x'.repeat(32))}:` }],
])('4 MiB that arrive at once are %s in several turns of the event loop', async (_what, fields) => {
  const head = `--B\r\nContent-Range: bytes 0-${SIZE - 1}/${SIZE}\r\n\r\n`
  const document = Buffer.concat([Buffer.from(head), Buffer.alloc(SIZE), Buffer.from('\r\n--B--')])
  slowDown(2)
  const turns = countTurns()

  await handlerFor()(
    request({
      method: 'PATCH',
      headers: {
        'Content-Type': 'multipart/byteranges; boundary=B',
        'Content-Length': String(document.length),
        ...fields,
      },
      body: once(chunksOf(document)),
    }),
  )

  expect(turns.end()).toBeGreaterThanOrEqual(7)
})

it('a chunk of 4 MiB is hashed in several turns of the event loop', async () => {
  const document = Buffer.alloc(SIZE)
  slowDown(10)
  const turns = countTurns()

  const digest = { 'Content-Digest': `sha-256=:${btoa('x'.repeat(32))}:` }
  const headers = { 'Content-Length': String(SIZE), ...digest }
  await handlerFor()(request({ method: 'PUT', headers, body: once([document]) }))

  expect(turns.end()).toBeGreaterThanOrEqual(7)
})

/** Simulates a machine that takes this number of milliseconds for each slice of work. */
function slowDown(milliseconds: number): void {
  let now = 0
  vi.spyOn(performance, 'now').mockImplementation(() => (now += milliseconds))
}

function chunksOf(bytes: Uint8Array): readonly Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / CHUNK) }, (_, index) =>
    bytes.subarray(index * CHUNK, (index + 1) * CHUNK),
  )
}

async function* once(chunks: readonly Uint8Array[]) {
  yield chunks
}

function countTurns() {
  let turns = 0
  let isDone = false
  const count = () => {
    if (isDone) return
    turns += 1
    setImmediate(count)
  }
  setImmediate(count)
  return {
    end: () => {
      isDone = true
      return turns
    },
  }
}
