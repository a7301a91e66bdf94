import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import * as node from 'partial-upload/client/node'
import * as web from 'partial-upload/client/upload-all'
import { describe, expect, onTestFinished, test } from 'vitest'

import { KiB, MiB, pattern, useBench } from '../support/client/setup.ts'

interface Client {
  readonly uploadAll: typeof web.uploadAll
}

const CLIENTS: readonly (readonly [string, Client])[] = [
  ['node:http', node],
  ['fetch', web],
]

const LARGE = pattern(MiB)
const NO_FILES: readonly File[] = []

describe.each(CLIENTS)('uploads of many files over %s', (_name, { uploadAll }) => {
  const bench = useBench()

  function folder(): string {
    return `${bench.proxy.origin}/files/`
  }

  /**
   * Whether the server holds a complete resource with exactly these bytes. `expect` would take
   * seconds to compare them.
   */
  async function holds(name: string, bytes: Buffer): Promise<boolean> {
    const response = await fetch(new URL(`/files/${name}`, bench.direct))
    return response.status === 200 && bytes.equals(Buffer.from(await response.arrayBuffer()))
  }

  test('take one request for each small file', async () => {
    const files = Array.from({ length: 100 }, (_, index) =>
      fileOf(pattern(16 * KiB, index), `${index}.bin`),
    )

    const uploads = uploadAll(files, { ...bench.options, url: folder() })
    await uploads.done

    expect(bench.proxy.seen.map(({ method }) => method)).toEqual(files.map(() => 'PATCH'))
    expect(uploads.progress).toMatchObject({
      sent: 100 * 16 * KiB,
      size: 100 * 16 * KiB,
      files: 100,
      complete: 100,
      failed: 0,
    })
    expect(await holds('99.bin', pattern(16 * KiB, 99))).toBe(true)
  })

  test('run at most `concurrency` at a time', async () => {
    const files = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => fileOf(LARGE, name))
    let most = 0

    const uploads = uploadAll(files, {
      ...bench.options,
      url: folder(),
      concurrency: 2,
      onFile: () => {
        const running = uploads.files.filter(({ status }) =>
          ['checking', 'sending'].includes(status.state),
        )
        most = Math.max(most, running.length)
      },
    })
    await uploads.done

    expect(most).toBe(2)
  })

  test('continue after a failure, and retry only failed files', async () => {
    bench.proxy.fail('PATCH', { kind: 'answer', status: 403 })
    const files = ['a', 'b', 'c'].map((name) => fileOf(LARGE, name))

    const uploads = uploadAll(files, { ...bench.options, url: folder(), concurrency: 1 })
    const failure: unknown = await uploads.done.catch((error: unknown) => error)
    const before = uploads.files.map(({ status }) => status.state)
    const requests = bench.proxy.seen.length
    uploads.retry()
    await uploads.done

    expect(failure).toBeInstanceOf(AggregateError)
    expect(failure).toMatchObject({
      message: '1 of 3 files are not complete',
      errors: [{ code: 'ERR_RESPONSE', status: 403 }],
    })
    expect(before).toEqual(['failed', 'done', 'done'])
    expect(bench.proxy.seen.slice(requests).map(({ method }) => method)).toEqual(['HEAD', 'PATCH'])
    expect(await holds('a', LARGE)).toBe(true)
  })

  test.each([415, 507])(
    'do not count the bytes of a small file that is refused with %i',
    async (status) => {
      const answer = { kind: 'answer', status } as const
      bench.proxy.fail('PATCH', answer).fail('PUT', answer)
      const files = ['a.exe', 'b.txt'].map((name) => fileOf(pattern(40_000), name))

      const uploads = uploadAll(files, { ...bench.options, url: folder(), concurrency: 1 })
      await expect(uploads.done).rejects.toThrow('1 of 2 files are not complete')

      expect(statesOf(uploads)).toEqual(['failed', 'done'])
      expect(uploads.files[0]?.progress).toMatchObject({ sent: 0, size: 40_000 })
      expect(uploads.progress).toMatchObject({ sent: 40_000, size: 80_000, complete: 1, failed: 1 })
    },
  )

  test('stop at a pause, and resume where they were', async () => {
    const stall = { kind: 'stall', after: 256 * KiB } as const
    bench.proxy.fail('PATCH', stall).fail('PATCH', stall)
    const files = ['a', 'b', 'c'].map((name) => fileOf(LARGE, name))
    const stalled = bench.proxy.stalled().then(async () => bench.proxy.stalled())

    const uploads = uploadAll(files, { ...bench.options, url: folder(), concurrency: 2 })
    await stalled
    uploads.pause()
    await expect.poll(() => statesOf(uploads)).toEqual(['paused', 'paused', 'paused'])
    expect(bench.proxy.seen).toHaveLength(4)
    uploads.resume()
    await uploads.done

    const resumed = bench.proxy.seen.filter(({ start }) => start !== null && start > 0)
    expect(resumed.length).toBeGreaterThanOrEqual(2)
    for (const name of ['a', 'b', 'c']) expect(await holds(name, LARGE)).toBe(true)
  })

  test('start another file in the place of one that is paused', async () => {
    bench.proxy.fail('PATCH', { kind: 'stall', after: 256 * KiB })
    const files = ['a', 'b'].map((name) => fileOf(LARGE, name))
    const stalled = bench.proxy.stalled()

    const uploads = uploadAll(files, { ...bench.options, url: folder(), concurrency: 1 })
    const [first, second] = uploads.files
    await stalled
    first?.pause()
    await second?.ended
    const between = statesOf(uploads)
    first?.resume()
    await uploads.done

    expect(between).toEqual(['paused', 'done'])
    expect(await holds('a', LARGE)).toBe(true)
  })

  test('remove what they have stored when they are cancelled, except finished files', async () => {
    const files = ['a', 'b', 'c'].map((name) => fileOf(LARGE, name))
    const uploads = uploadAll(files, { ...bench.options, url: folder(), concurrency: 1 })
    await uploads.files[0]?.ended
    bench.proxy.fail('PATCH', { kind: 'stall', after: 256 * KiB })
    await bench.proxy.stalled()

    await uploads.cancel()
    const failure: unknown = await uploads.done.catch((error: unknown) => error)

    expect(statesOf(uploads)).toEqual(['done', 'cancelled', 'cancelled'])
    expect(failure).toMatchObject({ errors: [{ name: 'AbortError' }, { name: 'AbortError' }] })
    expect(uploads.progress).toMatchObject({ sent: MiB, size: MiB, files: 1, complete: 1 })
    const heads = await Promise.all(
      ['a', 'b', 'c'].map(async (name) => fetch(`${folder()}${name}`, { method: 'HEAD' })),
    )
    expect(heads.map(({ status }) => status)).toEqual([200, 404, 404])
  })

  test('do not report a file as complete whose URL holds other bytes', async () => {
    const other = new Uint8Array(LARGE).fill(1, 1000, 1007)
    await uploadAll([fileOf(other, 'a')], { ...bench.options, url: folder() }).done

    const uploads = uploadAll([fileOf(LARGE, 'a'), fileOf(LARGE, 'b')], {
      ...bench.options,
      url: folder(),
    })
    const failure: unknown = await uploads.done.catch((error: unknown) => error)

    expect(failure).toMatchObject({ errors: [{ code: 'ERR_DIFFERENT' }] })
    expect(uploads.progress).toMatchObject({ complete: 1, failed: 1 })
    expect(await holds('a', Buffer.from(other))).toBe(true)
  })

  test('report that nothing was sent of a file that the server had', async () => {
    const files = [fileOf(LARGE, 'a'), fileOf(pattern(100), 'b')]
    await uploadAll(files, { ...bench.options, url: folder() }).done

    const uploads = uploadAll(files, { ...bench.options, url: folder() })
    await uploads.done

    expect(uploads.files.map(({ status }) => status)).toEqual(
      files.map(() => ({ state: 'done', isUnchanged: true })),
    )
    expect(uploads.progress).toMatchObject({ sent: MiB + 100, size: MiB + 100, complete: 2 })
  })

  test('accept further files while they run', async () => {
    const uploads = uploadAll([fileOf(LARGE, 'a')], { ...bench.options, url: folder() })
    const { done } = uploads
    uploads.add([fileOf(LARGE, 'b')])
    await done

    expect(statesOf(uploads)).toEqual(['done', 'done'])
  })

  test('accept a list without an iterator, which `FileList` is in the lib "dom" of TypeScript', async () => {
    const list: ArrayLike<File> = { length: 1, 0: fileOf(LARGE, 'a') }

    const uploads = uploadAll(list, { ...bench.options, url: folder() })
    await uploads.done

    expect(statesOf(uploads)).toEqual(['done'])
  })

  test('end with the reason of the signal, and start no other file', async () => {
    bench.proxy.fail('PATCH', { kind: 'stall', after: 256 * KiB })
    const controller = new AbortController()
    const { signal } = controller
    const stalled = bench.proxy.stalled()

    const files = ['a', 'b'].map((name) => fileOf(LARGE, name))
    const uploads = uploadAll(files, { ...bench.options, url: folder(), concurrency: 1, signal })
    await stalled
    controller.abort(new Error('enough'))

    await expect(uploads.done).rejects.toThrow('enough')
    expect(bench.proxy.seen).toHaveLength(2)
  })

  test('report the progress of all files until the last one ends', async () => {
    const seen: unknown[] = []
    const names: string[] = []

    await uploadAll([fileOf(LARGE, 'a'), fileOf(LARGE, 'b')], {
      ...bench.options,
      url: folder(),
      onProgress: ({ sent, complete }) => seen.push([sent, complete]),
      onFile: ({ file, status }) => {
        if (status.state === 'done') names.push(file.name)
      },
    }).done

    expect(seen.at(-1)).toEqual([2 * MiB, 2])
    expect(names.toSorted()).toEqual(['a', 'b'])
  })

  test('send each file to its own URL', async () => {
    const { files } = uploadAll([fileOf(LARGE, 'a/b?#ü.txt')], {
      ...bench.options,
      url: folder().slice(0, -1),
    })
    const others = uploadAll([LARGE], { url: () => `${folder()}c` })
    await Promise.all([files[0]?.ended, others.done])

    expect(files[0]?.url).toBe(`${folder()}a%2Fb%3F%23%C3%BC.txt`)
    expect(await holds('c', LARGE)).toBe(true)
  })

  test.each([
    [{ concurrency: 0 }, 'concurrency is 0, expected 1 or more'],
    [{ concurrency: Number.NaN }, 'concurrency is NaN'],
    [{ retrys: 3 }, '"retrys" is not an option'],
    [{ url: 'http://' }, 'Invalid URL'],
  ])('refuse %j', (options, message) => {
    const all = { url: folder(), ...options }

    expect(() => uploadAll([fileOf(LARGE, 'a')], all)).toThrow(message)
    expect(bench.proxy.seen).toEqual([])
  })

  test('need a function for the URL of a source without a name', () => {
    expect(() => uploadAll([LARGE], { ...bench.options, url: folder() })).toThrow(
      'needs a function as `url`',
    )
  })

  test('without files are done at once', async () => {
    await expect(
      uploadAll(NO_FILES, { ...bench.options, url: folder() }).done,
    ).resolves.toBeUndefined()
  })
})

describe('uploads of many files in Node', () => {
  const bench = useBench()

  test('send files by path, under their names', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-all-'))
    onTestFinished(async () => rm(directory, { recursive: true }))
    const paths = ['a.txt', 'b.txt'].map((name) => path.join(directory, name))
    for (const file of paths) await writeFile(file, `content of ${path.basename(file)}`)

    const uploads = node.uploadAll(paths, { url: new URL('.', bench.direct) })
    await uploads.done

    const texts = await Promise.all(uploads.files.map(async ({ url }) => (await fetch(url)).text()))
    expect(texts).toEqual(['content of a.txt', 'content of b.txt'])
  })
})

function fileOf(bytes: Uint8Array, name: string): File {
  return new File([new Uint8Array(bytes)], name)
}

function statesOf({ files }: Pick<node.Uploads<unknown>, 'files'>): readonly string[] {
  return files.map(({ status }) => status.state)
}
