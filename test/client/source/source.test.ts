import { Readable } from 'node:stream'

import { afterEach, describe, expect, test, vi } from 'vitest'

import { readRange, sourceError, type ByteSource } from '../../../src/client/source/byte-source.ts'
import { connect } from '../../../src/client/exchange.ts'
import { createProgressMeter } from '../../../src/client/progress.ts'
import { createSha256 } from '../../../src/client/sha256.ts'
import { openStream } from '../../../src/client/source/stream.ts'
import { fetchTransport } from '../../../src/client/transport/fetch.ts'
import { nodeTransport } from '../../../src/client/transport/node.ts'
import { startUpload } from '../../../src/client/upload.ts'
import { CLIENTS, KiB, MiB, pattern, useBench } from '../../support/client/setup.ts'

const FILE = pattern(100 * KiB)

describe.each(CLIENTS)('a stream as source over %s', (_name, { upload }) => {
  const bench = useBench()

  test('may be a stream of Node', async () => {
    await upload(bench.url, Readable.from([FILE.subarray(0, 10), FILE.subarray(10)])).done

    expect((await bench.stored()).equals(FILE)).toBe(true)
  })

  test('fails the upload when it fails', async () => {
    async function* broken() {
      yield FILE
      throw new Error('no disk')
    }

    await expect(upload(bench.url, broken()).done).rejects.toMatchObject({
      code: 'ERR_SOURCE',
      cause: new Error('no disk'),
    })
  })

  test('must give bytes', async () => {
    const text = Readable.from(['text']) as AsyncIterable<never>

    await expect(upload(bench.url, text).done).rejects.toMatchObject({
      message: 'the source can not be read',
      cause: 'text',
    })
  })

  test('does not delay an abort', async () => {
    const controller = new AbortController()
    const isCancelled = vi.fn<() => void>()
    const silent = new ReadableStream<Uint8Array>({
      pull: () => controller.abort(new Error('enough')),
      cancel: isCancelled,
    })

    const { done } = upload(bench.url, silent, { signal: controller.signal })

    await expect(done).rejects.toThrow('enough')
    expect(isCancelled).toHaveBeenCalledOnce()
  })
})

describe('the window of a stream', () => {
  function open(chunks: readonly Uint8Array[]) {
    async function* generate() {
      yield* chunks
    }
    return openStream(generate())
  }

  test('gives ranges in order, whatever the chunks', async () => {
    const bytes = pattern(40)
    const chunks = [bytes.subarray(0, 7), bytes.subarray(7, 7), bytes.subarray(7, 31)]
    const source = open([...chunks, bytes.subarray(31)])

    expect(source.size).toBeNull()
    expect(Buffer.from(await readRange(source, 0, 10)).equals(bytes.subarray(0, 10))).toBe(true)
    expect(Buffer.from(await readRange(source, 5, 35)).equals(bytes.subarray(5, 35))).toBe(true)
    expect(Buffer.from(await readRange(source, 30, 99)).equals(bytes.subarray(30))).toBe(true)
    expect(source.size).toBe(40)
  })

  test('reports the end together with the last byte', async () => {
    const source = open([FILE])

    await readRange(source, 0, FILE.length)

    expect(source.size).toBe(FILE.length)
  })

  test('is empty beyond the end', async () => {
    expect(await readRange(open([FILE]), FILE.length + 5, FILE.length + 9)).toHaveLength(0)
  })

  test('refuses to go back', async () => {
    const source = open([FILE.subarray(0, 10), FILE.subarray(10)])
    await readRange(source, 10, 20)

    await expect(readRange(source, 9, 20)).rejects.toMatchObject({ code: 'ERR_SOURCE' })
  })

  test('keeps its bytes when the stream reuses a chunk', async () => {
    const chunk = Buffer.from('aaaa')
    async function* reuse() {
      yield chunk
      chunk.fill('b')
      yield chunk
    }

    const source = openStream(reuse())

    expect(Buffer.from(await readRange(source, 0, 8)).toString()).toBe('aaaabbbb')
  })
})

describe('a source that fails under way', () => {
  const bench = useBench()
  const source: ByteSource = {
    size: MiB,
    type: '',
    once: false,
    slice: async () => ({
      size: MiB,
      async *stream() {
        yield FILE
        throw sourceError('no disk')
      },
      arrayBuffer: async () => Promise.reject(new Error('not asked for')),
    }),
    close: async () => undefined,
  }

  test('is not reported as a failed network', async () => {
    const platform = { transport: nodeTransport(), createHash: createSha256 }

    const { done } = startUpload(bench.url, () => source, bench.options, platform)

    await expect(done).rejects.toMatchObject({ code: 'ERR_SOURCE', message: 'no disk' })
    expect(bench.clock.waits).toEqual([])
  })
})

describe.each([
  ['node:http', nodeTransport()],
  ['fetch', fetchTransport],
])('a source over %s that yields another length than it announced', (_name, transport) => {
  const bench = useBench()

  /** Announces `size` bytes and yields `FILE`. */
  function announce(size: number): ByteSource {
    const slice = (start: number, end: number) => ({
      size: Math.min(end, size) - start,
      async *stream() {
        yield FILE.subarray(start)
      },
      arrayBuffer: async () => new Uint8Array(FILE.subarray(start)).buffer,
    })
    return { size, slice }
  }

  test.each([FILE.length - 1, FILE.length + 1, 2 * FILE.length])(
    '(%i bytes) fails',
    async (size) => {
      const platform = { transport, createHash: createSha256 }

      const { done } = startUpload(bench.url, () => announce(size), bench.options, platform)

      await expect(done).rejects.toMatchObject({ code: 'ERR_SOURCE', transient: false })
      expect(await bench.state()).not.toMatch(/^C/)
    },
  )
})

describe('fetch', () => {
  const bench = useBench()

  afterEach(() => vi.unstubAllGlobals())

  test('sends a Blob as it is in a service worker', async () => {
    vi.stubGlobal('location', { href: 'https://example.com/worker.js' })
    const [, { upload }] = CLIENTS[1]

    await upload(bench.url, FILE, bench.options).done

    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(bench.proxy.seen.at(-1)?.headers['content-length']).toBeDefined()
  })

  test('resolves a relative URL against the page', () => {
    const platform = { transport: fetchTransport, createHash: createSha256 }
    vi.stubGlobal('location', { href: 'https://example.com/a/b' })

    expect(connect('c', {}, platform).url).toBe('https://example.com/a/c')
  })
})

describe('progress', () => {
  test('is reported at most every 50 ms, with the rate of the last seconds', async () => {
    let now = 1000
    const reports: unknown[] = []
    const clock = { now: () => now, after: () => () => undefined }
    const meter = createProgressMeter(clock, { size: 10_000 }, (progress) => reports.push(progress))

    meter.start(0)
    now += 49
    meter.move(100)
    now += 1
    meter.move(200)
    now += 200
    meter.move(500)
    now += 3000
    meter.move(500)
    meter.start(300)
    meter.move(10_000)
    await Promise.resolve()

    const rounded = 2000 * Math.exp(-1)
    expect(reports).toEqual([
      { sent: 0, size: 10_000, rate: null },
      { sent: 200, size: 10_000, rate: null },
      { sent: 500, size: 10_000, rate: 2000 },
      { sent: 500, size: 10_000, rate: rounded },
      { sent: 300, size: 10_000, rate: rounded },
      { sent: 10_000, size: 10_000, rate: rounded },
    ])
  })
})
