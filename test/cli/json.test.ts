/** The lines of `--json`, which scripts parse. */
import { writeFileSync } from 'node:fs'

import { describe, expect, test } from 'vitest'

import { createJsonLog } from '../../src/cli/log.ts'
import { MiB, pattern, useBench } from '../support/client/setup.ts'
import { useCommandLine } from '../support/cli/setup.ts'

const line = useCommandLine()
const bench = useBench()

/** The objects in the output, one per line. */
function eventsIn(out: string): readonly Record<string, unknown>[] {
  return out
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text) as Record<string, unknown>)
}

describe('--json', () => {
  test('reports an upload, a retry of it, and that the server already has it', async () => {
    writeFileSync(line.at('a'), pattern(2 * MiB))
    bench.proxy.fail('PATCH', { kind: 'cut', after: MiB })

    const first = await line.run('put', '--json', 'a', bench.url)
    const second = await line.run('put', '--json', 'a', bench.url)

    const [retry, ...rest] = eventsIn(first.out).filter(({ event }) => event !== 'progress')
    expect(retry).toEqual({
      event: 'retry',
      name: 'a',
      delay: expect.any(Number) as number,
      message: expect.stringMatching(/^the connection broke/) as string,
    })
    expect(rest).toEqual([
      {
        event: 'complete',
        command: 'put',
        name: 'a',
        url: bench.url,
        size: 2 * MiB,
        seconds: expect.any(Number) as number,
        sha256: null,
      },
      { event: 'end', exitCode: 0 },
    ])
    expect(eventsIn(second.out)).toEqual([
      { event: 'skipped', name: 'a', url: bench.url, reason: 'same' },
      { event: 'end', exitCode: 0 },
    ])
    expect([first.err, second.err]).toEqual(['', ''])
  })

  test('reports errors in the same stream, with the exit code', async () => {
    writeFileSync(line.at('a'), 'a')
    await fetch(bench.direct, { method: 'PUT', body: 'other' })

    const { code, out, err } = await line.run('put', '--json', 'a', 'none', `${bench.url}/`)
    const refused = await line.run('put', '--json', 'a', bench.url)

    expect([code, err]).toEqual([1, ''])
    expect(eventsIn(out)).toContainEqual({
      event: 'error',
      name: 'none',
      message: 'there is no such file',
      exitCode: 1,
    })
    expect([refused.code, ...eventsIn(refused.out)]).toEqual([
      3,
      {
        event: 'error',
        name: 'a',
        message: 'the URL holds 5 bytes of a different file; --overwrite replaces it',
        exitCode: 3,
      },
      { event: 'end', exitCode: 3 },
    ])
  })

  test('reports downloads, states and removals', async () => {
    await fetch(bench.direct, { method: 'PUT', body: 'abc', headers: { 'Content-Type': 'a/b' } })

    const status = await line.run('status', '--json', bench.url)
    const got = await line.run('get', '--json', bench.url, 'copy')
    const removed = await line.run('rm', '--json', bench.url)
    const gone = await line.run('rm', '--json', bench.url)

    expect(eventsIn(status.out)[0]).toEqual({
      ...{ event: 'status', url: bench.url, state: 'complete', size: 3, length: 3, type: 'a/b' },
      etag: expect.stringMatching(/^".+"$/) as string,
    })
    expect(eventsIn(got.out)[0]).toEqual({
      ...{ event: 'complete', command: 'get', name: 'copy', url: bench.url, size: 3 },
      seconds: expect.any(Number) as number,
      sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    })
    expect([removed, gone].map(({ out }) => eventsIn(out)[0])).toEqual([
      { event: 'removed', url: bench.url, existed: true },
      { event: 'removed', url: bench.url, existed: false },
    ])
  })

  test('leaves the standard output to the file with get URL -', async () => {
    await fetch(bench.direct, { method: 'PUT', body: 'abc' })

    const { out, err } = await line.run('get', '--json', bench.url, '-')

    expect(out).toBe('abc')
    expect(eventsIn(err).map(({ event }) => event)).toEqual(['complete', 'end'])
  })

  test('escapes characters that a terminal obeys, and keeps their values', () => {
    const lines: string[] = []
    const log = createJsonLog({ write: (text) => lines.push(text) }, false)
    const message = 'a\u001b[2J\u009b2J\u202eb\u2028\nc'

    log.add({ event: 'error', name: null, message, exitCode: 1 })

    expect(lines[0]?.trimEnd()).not.toMatch(/[\p{Cc}\p{Zl}\p{Bidi_Control}]/u)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ message })
  })
})
