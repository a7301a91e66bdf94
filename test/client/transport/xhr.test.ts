import { openAsBlob } from 'node:fs'
import { rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { createSha256 } from '../../../src/client/sha256.ts'
import { sourceOpener, type Source } from '../../../src/client/source/source.ts'
import { xhrTransport } from '../../../src/client/transport/xhr.ts'
import { startUpload } from '../../../src/client/upload.ts'
import type { UploadOptions } from '../../../src/client/options.ts'
import { KiB, MiB, pattern, timing, useBench } from '../../support/client/setup.ts'
import { FakeXhr } from '../../support/client/xhr.ts'

const FILE = pattern(3 * MiB)

describe('upload over XMLHttpRequest', () => {
  const bench = useBench()

  beforeEach(() => vi.stubGlobal('XMLHttpRequest', FakeXhr))
  afterEach(() => vi.unstubAllGlobals())

  function upload(source: Source, options: UploadOptions = {}) {
    const platform = { transport: xhrTransport, createHash: createSha256 }
    const all = { ...bench.options, ...options }
    return startUpload(bench.url, sourceOpener(source), all, platform)
  }

  test('creates a resource, and reports while bytes move', async () => {
    const reports: number[] = []
    const clock = { now: () => (time += 100), after: () => () => undefined }
    let time = 0

    const response = await upload(new Blob([FILE]), {
      ...timing({ clock }),
      onProgress: ({ sent }) => reports.push(sent),
    }).done

    expect(response.status).toBe(201)
    expect(response.headers.get('etag')).toMatch(/^"/)
    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect(reports.length).toBeGreaterThan(2)
    expect(reports.at(-1)).toBe(FILE.length)
  })

  test('resumes after a cut', async () => {
    bench.proxy.fail('PATCH', { kind: 'cut', after: MiB })

    await upload(FILE).done

    expect((await bench.stored()).equals(FILE)).toBe(true)
    const [, second] = bench.proxy.seen.filter(({ method }) => method === 'PATCH')
    expect(second?.start).toBeGreaterThan(MiB - 200)
  })

  test('reads the problem document', async () => {
    await bench.configure({ maxSize: 1000 })

    await expect(upload(pattern(2000)).done).rejects.toMatchObject({
      problem: { code: 'ERR_SIZE_LIMIT' },
    })
  })

  test('aborts', async () => {
    bench.proxy.fail('PATCH', { kind: 'stall', after: MiB })
    const controller = new AbortController()
    const running = upload(FILE, { signal: controller.signal })

    await bench.proxy.stalled()
    controller.abort()

    await expect(running.done).rejects.toBe(controller.signal.reason)
  })

  test('sends a stream', async () => {
    await upload(new Blob([FILE]).stream(), { segmentSize: MiB, credentials: 'include' }).done

    expect((await bench.stored()).equals(FILE)).toBe(true)
  })

  test.each([
    ['a stream', () => new Blob([FILE]).stream()],
    ['an async iterable', () => new Blob([FILE]).stream().values()],
  ])('resumes with %s after a cut when more bytes arrived than were reported', async (_, open) => {
    vi.stubGlobal('XMLHttpRequest', QuietXhr)
    bench.proxy.fail('PATCH', { kind: 'first', act: () => undefined })
    bench.proxy.fail('PATCH', { kind: 'cut', after: 500 * KiB })

    const response = await upload(open(), { segmentSize: MiB }).done

    expect(response.status).toBe(201)
    const starts = bench.proxy.seen.map(({ start }) => start)
    expect(starts.slice(0, 4)).toEqual([null, 0, MiB, null])
    expect(starts[4]).toBeGreaterThan(MiB + 500 * KiB - 200)
    expect((await bench.stored()).equals(FILE)).toBe(true)
  })

  test('reports a file that was removed', async () => {
    const path = join(tmpdir(), `partial-upload-${process.pid}-gone`)
    await writeFile(path, FILE)
    const file = await openAsBlob(path)
    await truncate(path, 10)

    await expect(upload(file).done).rejects.toMatchObject({ code: 'ERR_SOURCE', transient: false })
    await rm(path)
  })

  test('hashes beside the transfer', async () => {
    const small = pattern(10 * KiB)

    await upload(small, { reprDigest: true, contentDigest: true }).done

    const expected = Buffer.from(await crypto.subtle.digest('SHA-256', small)).toString('base64')
    const digest = (await fetch(bench.direct)).headers.get('repr-digest')
    expect(digest).toBe(`sha-256=:${expected}:`)
  })
})

/** Ends before the first report of progress, because browsers report only every 50 ms. */
class QuietXhr extends FakeXhr {
  override readonly upload = Object.assign(new EventTarget(), { dispatchEvent: () => true })
}
