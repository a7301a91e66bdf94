import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { ClientError as NodeError } from 'partial-upload/client/node'
import { fsStorage } from 'partial-upload/storage/fs'
import { describe, expect, test } from 'vitest'

import { CLIENTS, KiB, MiB, pattern, useBench } from '../support/client/setup.ts'

const FILE = pattern(3 * MiB)

describe.each(CLIENTS)('upload over %s', (_name, { upload }) => {
  const bench = useBench()

  test('creates a resource in one request', async () => {
    const response = await upload(bench.url, new Blob([FILE], { type: 'video/mp4' })).done

    expect(response.status).toBe(201)
    expect(await bench.state()).toBe(`C(${FILE.length})`)
    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(bench.proxy.summaries('HEAD')).toEqual(['*+0 → 404'])
    expect(bench.proxy.summaries()).toEqual([`0+${FILE.length} → 201`])
    expect(bench.proxy.seen[1]?.headers['if-none-match']).toBe('*')
    expect((await fetch(bench.direct)).headers.get('content-type')).toBe('video/mp4')
  })

  test.each([0, 1, 64 * KiB])('sends %i bytes without a HEAD before', async (size) => {
    const bytes = pattern(size)

    const response = await upload(bench.url, bytes, bench.options).done

    expect(response.status).toBe(201)
    expect(await bench.state()).toBe(`C(${size})`)
    expect((await bench.stored()).equals(bytes)).toBe(true)
    expect(bench.proxy.seen.map(({ method }) => method)).toEqual(['PATCH'])
  })

  test('resumes after a cut connection', async () => {
    bench.proxy.fail('PATCH', { kind: 'cut', after: 2 * MiB })

    const response = await upload(bench.url, FILE, bench.options).done

    const [first, ...rest] = bench.proxy.seen.filter(({ method }) => method === 'PATCH')
    expect(response.status).toBe(201)
    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(first?.status).toBeNull()
    expect(rest[0]?.start).toBeGreaterThan(2 * MiB - 200)
    // The last segment is short, because it waits for the digest of the whole.
    expect(rest.reduce((sum, { data }) => sum + data, 0)).toBe(FILE.length - (rest[0]?.start ?? 0))
    expect(rest.map(({ headers }) => headers['if-match'])).toEqual(
      rest.map((): unknown => expect.stringMatching(/^"/)),
    )
  })

  test('survives a server that is killed and started in the middle', async () => {
    bench.proxy.fail('PATCH', { kind: 'stall', after: MiB })
    const running = upload(bench.url, FILE, { ...bench.options, retries: Infinity })

    await bench.proxy.stalled()
    // If the server is killed before it has stored a byte, the client sends the first byte again.
    await expect.poll(() => bench.state()).toMatch(/^I/)
    await bench.restart()
    await running.done

    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(bench.proxy.seen.filter(({ start }) => start === 0)).toHaveLength(1)
  })

  test('resumes in a new process', async () => {
    await bench.storePrefix(FILE, MiB)

    const response = await upload(bench.url, FILE, bench.options).done

    expect(response.status).toBe(201)
    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(bench.proxy.summaries()).toEqual([`${MiB}+${2 * MiB} → 201`])
    expect(bench.proxy.summaries('HEAD')).toEqual(['*+0 → 299', '*+0 → 299'])
  })

  test('sends nothing if the resource is complete', async () => {
    await bench.storePrefix(FILE, FILE.length)

    const response = await upload(bench.url, FILE, bench.options).done

    expect(response.status).toBe(200)
    expect(response.headers.get('etag')).toMatch(/^"/)
    expect(bench.proxy.sent).toBe(0)
  })

  test('treats a creation whose answer was lost as its own', async () => {
    const small = pattern(10 * KiB)
    bench.proxy.fail('PATCH', { kind: 'lose' })

    const response = await upload(bench.url, small, bench.options).done

    expect(response.status).toBe(200)
    expect((await bench.stored()).equals(small)).toBe(true)
    expect(bench.proxy.summaries()).toEqual([`0+${small.length} → nothing`])
  })

  test('resumes after a 412 to a creation whose answer was lost', async () => {
    const small = pattern(10 * KiB)
    await bench.storePrefix(small, 4 * KiB)

    const response = await upload(bench.url, small, bench.options).done

    expect(response.status).toBe(201)
    expect((await bench.stored()).equals(small)).toBe(true)
    expect(bench.proxy.summaries()).toEqual([
      `0+${small.length} → 412`,
      `${4 * KiB}+${6 * KiB} → 201`,
    ])
    expect(bench.clock.waits).toEqual([])
  })

  test('treats the upload as complete when the final answer was lost', async () => {
    await bench.storePrefix(FILE, MiB)
    bench.proxy.fail('PATCH', { kind: 'lose' })

    const response = await upload(bench.url, FILE, bench.options).done

    expect(response.status).toBe(200)
    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(bench.proxy.sent).toBe(2 * MiB)
  })

  test('asks for the offset again when another request has written meanwhile', async () => {
    await bench.storePrefix(FILE, MiB)
    bench.proxy.fail('PATCH', {
      kind: 'first',
      act: async () => {
        const range = `Content-Range: bytes ${MiB}-${MiB + 999}/*\r\n\r\n`
        const body = Buffer.concat([Buffer.from(range), FILE.subarray(MiB, MiB + 1000)])
        const headers = { 'Content-Type': 'message/byteranges' }
        await fetch(bench.direct, { method: 'PATCH', headers, body })
      },
    })

    await upload(bench.url, FILE, bench.options).done

    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(bench.proxy.seen.at(-1)?.start).toBe(MiB + 1000)
    expect(bench.proxy.seen.filter(({ status }) => status === 412)).toHaveLength(1)
  })

  test('starts over when the upload was removed', async () => {
    bench.proxy.fail('PATCH', { kind: 'first', act: () => undefined })
    bench.proxy.fail('PATCH', {
      kind: 'first',
      act: async () => {
        await fetch(bench.direct, { method: 'DELETE' })
      },
    })

    await upload(bench.url, FILE, { ...bench.options, segmentSize: 2 * MiB }).done

    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(bench.proxy.summaries()).toEqual([
      `0+${2 * MiB} → 202`,
      `${2 * MiB}+${MiB} → 412`,
      `0+${2 * MiB} → 202`,
      `${2 * MiB}+${MiB} → 201`,
    ])
  })

  test('finishes a resource that has all bytes, but is not finished', async () => {
    await bench.storePrefix(FILE, MiB)
    const rest = upload(bench.url, FILE.subarray(0, MiB), { ...bench.options, segmentSize: MiB })
    await expect(rest.done).rejects.toMatchObject({ code: 'ERR_DIFFERENT' })
    const stream = upload(
      `${bench.url}2`,
      (async function* () {
        yield FILE.subarray(0, MiB)
      })(),
      { ...bench.options, segmentSize: MiB },
    )

    expect((await stream.done).status).toBe(201)
  })

  test('sends a stream of unknown length in segments', async () => {
    async function* chunks() {
      for (let at = 0; at < FILE.length; at += 100_000) yield FILE.subarray(at, at + 100_000)
    }

    const response = await upload(bench.url, chunks(), { ...bench.options, segmentSize: MiB }).done

    expect(response.status).toBe(201)
    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(bench.proxy.summaries()).toEqual([
      `0+${MiB} → 202`,
      `${MiB}+${MiB} → 202`,
      `${2 * MiB}+${MiB} → 201`,
    ])
  })

  test('continues a stream after a cut, and after an earlier process', async () => {
    await bench.storePrefix(FILE, 100 * KiB)
    bench.proxy.fail('PATCH', { kind: 'cut', after: 500 * KiB })
    const stream = new Blob([FILE]).stream()

    await upload(bench.url, stream, { ...bench.options, segmentSize: MiB }).done

    const [first] = bench.proxy.seen.filter(({ method }) => method === 'PATCH')
    expect(first?.start).toBe(100 * KiB)
    expect((await bench.stored()).equals(FILE)).toBe(true)
  })

  test('sends an empty stream', async () => {
    const stream = new Blob([]).stream()

    const response = await upload(bench.url, stream, bench.options).done

    expect(response.status).toBe(201)
    expect(await bench.state()).toBe('C(0)')
  })

  test('reports its progress', async () => {
    const reports: number[] = []
    const states: string[] = []

    await upload(bench.url, FILE, {
      ...bench.options,
      segmentSize: MiB,
      onProgress: ({ sent, size }) => {
        expect(size).toBe(FILE.length)
        reports.push(sent)
      },
      onState: ({ state }) => states.push(state),
    }).done

    expect(reports.at(0)).toBe(0)
    expect(reports.at(-1)).toBe(FILE.length)
    expect(reports).toEqual(reports.toSorted((a, b) => a - b))
    expect(states).toEqual(['sending', 'done'])
  })

  test('pauses at once, and resumes from the same offset', async () => {
    bench.proxy.fail('PATCH', { kind: 'stall', after: MiB })
    const states: string[] = []
    const running = upload(bench.url, FILE, {
      ...bench.options,
      onState: ({ state }) => {
        states.push(state)
        if (state === 'paused') setImmediate(() => running.resume())
      },
    })

    await bench.proxy.stalled()
    running.pause()
    await running.done

    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(states.slice(0, 3)).toEqual(['sending', 'paused', 'checking'])
    expect(bench.proxy.seen.filter(({ start }) => start === 0)).toHaveLength(1)
    expect(running.status).toEqual({ state: 'done', isUnchanged: false })
  })

  test('rejects with the reason of the signal, and keeps the bytes that have arrived', async () => {
    bench.proxy.fail('PATCH', { kind: 'stall', after: MiB })
    const controller = new AbortController()
    const reason = new Error('enough')
    const running = upload(bench.url, FILE, { ...bench.options, signal: controller.signal })

    await bench.proxy.stalled()
    controller.abort(reason)

    await expect(running.done).rejects.toBe(reason)
    expect(running.status).toEqual({ state: 'failed', error: reason })
  })

  test('does not begin when the signal has aborted', async () => {
    const signal = AbortSignal.abort()

    await expect(upload(bench.url, FILE, { signal }).done).rejects.toBe(signal.reason)
    expect(bench.proxy.seen).toEqual([])
  })

  test('sends no byte twice beyond what was in flight', async () => {
    const file = pattern(24 * MiB)
    for (let i = 0; i < 5; i++) bench.proxy.fail('PATCH', { kind: 'cut', after: 4 * MiB })

    await upload(bench.url, file, bench.options).done

    const patches = bench.proxy.seen.filter(({ method }) => method === 'PATCH')
    expect(patches.length).toBeLessThanOrEqual(7)
    expect((await bench.stored()).equals(file)).toBe(true)
    // At each cut the client sends the bytes again that were in the buffers of the proxy, of the
    // server and of the sockets between them.
    expect(bench.proxy.sent - file.length).toBeLessThanOrEqual(5 * 256 * KiB)
  })
})

describe.each(CLIENTS)('upload over %s to a server with files', (_name, { upload }) => {
  const bench = useBench()

  test('resumes when the server is killed twice, and opens its files again', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-client-'))
    await bench.store(() => fsStorage({ directory }))
    bench.proxy.fail('PATCH', { kind: 'stall', after: MiB })
    bench.proxy.fail('PATCH', { kind: 'stall', after: MiB })
    const running = upload(bench.url, FILE, bench.options)

    for (let i = 0; i < 2; i++) {
      await bench.proxy.stalled()
      await bench.restart()
    }
    await running.done

    expect((await bench.stored()).equals(FILE)).toBe(true)
    await rm(directory, { recursive: true })
  })
})

describe.each(CLIENTS)('upload over %s to a URL that is in use', (_name, { upload }) => {
  const bench = useBench()

  test('refuses to resume with a different file', async () => {
    await bench.storePrefix(pattern(FILE.length, 3), MiB)

    const failed = upload(bench.url, FILE, bench.options).done

    await expect(failed).rejects.toMatchObject({ code: 'ERR_DIFFERENT', transient: false })
    expect(bench.proxy.sent).toBe(0)
    expect(await bench.state()).toBe(`I(${MiB}/${FILE.length})`)
  })

  test('refuses a finished file of another length', async () => {
    await bench.storePrefix(FILE.subarray(0, MiB), MiB)

    const failed = upload(bench.url, FILE, bench.options).done

    await expect(failed).rejects.toMatchObject({ code: 'ERR_DIFFERENT' })
  })

  test.each([
    ['beginning', 0],
    ['end', MiB - 1],
  ])('refuses a file that differs only at the %s of the stored bytes', async (_where, position) => {
    const other = Buffer.from(FILE)
    other[position]! ^= 1
    await bench.storePrefix(other, MiB)

    const failed = upload(bench.url, FILE, bench.options).done

    await expect(failed).rejects.toMatchObject({ code: 'ERR_DIFFERENT' })
  })

  test('replaces a different file with overwrite', async () => {
    await bench.storePrefix(pattern(FILE.length, 3), FILE.length)

    const response = await upload(bench.url, FILE, { ...bench.options, overwrite: true }).done

    expect(response.status).toBe(204)
    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(bench.proxy.summaries('DELETE')).toEqual([])
  })

  test('resumes with the same file even with overwrite', async () => {
    await bench.storePrefix(FILE, MiB)

    await upload(bench.url, FILE, { ...bench.options, overwrite: true }).done

    expect(bench.proxy.sent).toBe(2 * MiB)
    expect(bench.proxy.summaries('DELETE')).toEqual([])
  })

  test('treats what its own cut request has created as its own where it can not compare', async () => {
    await bench.configure({ exposeIncomplete: false })
    bench.proxy.fail('PATCH', { kind: 'cut', after: MiB })

    await upload(bench.url, FILE, bench.options).done

    expect((await bench.stored()).equals(FILE)).toBe(true)
  })

  test('lets another client upload the same file at the same time', async () => {
    const one = upload(bench.url, FILE, { segmentSize: 256 * KiB, minDelay: 1 })
    const two = upload(bench.url, FILE, { segmentSize: 256 * KiB, minDelay: 1 })

    await Promise.all([one.done, two.done])

    expect((await bench.stored()).equals(FILE)).toBe(true)
  })
})

describe.each(CLIENTS)('upload over %s in smaller segments', (_name, { upload }) => {
  const bench = useBench()

  test('halves them after a 413, and keeps the size', async () => {
    bench.proxy.limit(MiB)

    await upload(bench.url, FILE, bench.options).done

    const accepted = bench.proxy.seen.filter(({ status }) => status === 202 || status === 201)
    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(accepted.map(({ data }) => data)).toEqual([768 * KiB, 768 * KiB, 768 * KiB, 768 * KiB])
  })

  test('keeps the limit of the problem document', async () => {
    bench.proxy.limit(MiB, { code: 'ERR_CONTENT_LIMIT', limit: MiB })

    await upload(bench.url, FILE, bench.options).done

    const accepted = bench.proxy.seen.filter(({ status }) => status === 202 || status === 201)
    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(accepted[0]?.data).toBeGreaterThan(MiB - 200)
    expect(Math.max(...accepted.map(({ data }) => data))).toBeLessThan(MiB)
  })

  test('uses them when a proxy drops a cut segment', async () => {
    bench.proxy.fail('PATCH', { kind: 'swallow', after: 2 * MiB })

    await upload(bench.url, FILE, bench.options).done

    const accepted = bench.proxy.seen.filter(({ status }) => status === 202 || status === 201)
    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(accepted.length).toBeGreaterThan(1)
    expect(accepted[0]?.data).toBeLessThanOrEqual(2 * MiB)
  })

  test('sends digests that the server checks', async () => {
    const options = { ...bench.options, contentDigest: true, reprDigest: true, segmentSize: MiB }

    await upload(bench.url, FILE, options).done

    const patches = bench.proxy.seen.filter(({ method }) => method === 'PATCH')
    const expected = Buffer.from(await crypto.subtle.digest('SHA-256', FILE)).toString('base64')
    const digest = (await fetch(bench.direct)).headers.get('repr-digest')
    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(digest).toBe(`sha-256=:${expected}:`)
    expect(patches.map(({ headers }) => headers['content-digest'])).toEqual([
      expect.stringMatching(/^sha-256=:/),
      expect.stringMatching(/^sha-256=:/),
      expect.stringMatching(/^sha-256=:/),
    ])
  })

  test('hashes a stream while it sends it', async () => {
    const stream = new Blob([FILE]).stream()

    await upload(bench.url, stream, { ...bench.options, reprDigest: true, segmentSize: MiB }).done

    const expected = Buffer.from(await crypto.subtle.digest('SHA-256', FILE)).toString('base64')
    const digest = (await fetch(bench.direct)).headers.get('repr-digest')
    expect(digest).toBe(`sha-256=:${expected}:`)
  })
})

describe('the errors of an upload', () => {
  const bench = useBench({ maxSize: 1000 })
  const [, { upload }] = CLIENTS[0]

  test('carry the problem document', async () => {
    const error: unknown = await upload(bench.url, pattern(1001), bench.options).done.catch(
      (reason: unknown) => reason,
    )

    expect(error).toBeInstanceOf(NodeError)
    expect(error).toMatchObject({
      code: 'ERR_RESPONSE',
      status: 400,
      transient: false,
      problem: { code: 'ERR_SIZE_LIMIT', limit: 1000 },
    })
    expect(bench.proxy.seen).toHaveLength(1)
  })
})
