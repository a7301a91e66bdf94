/** The client for browsers in Bun and Deno, whose `fetch` is not that of Node. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

import { build } from 'esbuild'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'

import { MiB, pattern, useBench } from '../support/client/setup.ts'

const PROGRAM = fileURLToPath(new URL('../support/client/runtime-program.ts', import.meta.url))
/** Folder in which `.ci/run` installs the runtimes. The test downloads nothing. */
const PACKAGES = fileURLToPath(
  new URL('../../node_modules/.cache/runtimes/node_modules', import.meta.url),
)
const RUNTIMES = [
  { name: 'Bun', command: path.join(PACKAGES, '.bin/bun'), flags: [] },
  {
    name: 'Deno',
    command: path.join(PACKAGES, '.bin/deno'),
    flags: ['run', '--no-config', '--allow-net', '--allow-read'],
  },
]
const FILE = pattern(8 * MiB)
/**
 * Largest number of bytes that are sent again after a cut: those in the buffers of both sockets.
 */
const IN_FLIGHT = 4 * MiB

describe.each(RUNTIMES)('in $name', ({ name, command, flags }) => {
  const isMissing = !existsSync(command)
  const title = isMissing ? `(needs ${name}, which .ci/run installs)` : 'the client'
  describe.skipIf(isMissing)(title, () => {
    const bench = useBench()
    let folder = ''
    beforeAll(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'partial-upload-runtime-'))
      await writeFile(path.join(folder, 'film.mp4'), FILE)
      const outfile = path.join(folder, 'program.mjs')
      await build({
        entryPoints: [PROGRAM],
        outfile,
        bundle: true,
        platform: 'node',
        format: 'esm',
      })
      return () => rm(folder, { recursive: true, force: true })
    })

    /** Starts the program in the runtime. */
    function start(kind: string): ChildProcess {
      const args = [...flags, path.join(folder, 'program.mjs'), kind, path.join(folder, 'film.mp4')]
      const env = { ...process.env, NO_COLOR: '1', DENO_NO_UPDATE_CHECK: '1' }
      const child = spawn(command, [...args, bench.url], { env })
      onTestFinished(() => void child.kill('SIGKILL'))
      return child
    }

    /** Runs the program to its end and returns what it prints. */
    async function run(kind: string): Promise<unknown> {
      const { stdout, stderr } = start(kind)
      const [output, errors] = await Promise.all([text(stdout!), text(stderr!)])
      expect(errors).toBe('')
      return JSON.parse(output)
    }

    test('resumes a file after a broken connection', async () => {
      bench.proxy.fail('PATCH', { kind: 'cut', after: 5 * MiB })

      const result = await run('file')

      expect(result).toEqual({ isUnchanged: false, sent: FILE.length })
      expect((await bench.stored()).equals(FILE)).toBe(true)
      expect(bench.proxy.sent).toBeLessThan(FILE.length + IN_FLIGHT)
    })

    test('resumes the file of a killed process, and does not send a finished one again', async () => {
      bench.proxy.fail('PATCH', { kind: 'stall', after: 5 * MiB })
      const stalled = bench.proxy.stalled()
      const killed = start('file')
      await stalled
      killed.kill('SIGKILL')
      await once(killed, 'exit')
      await expect.poll(() => bench.state()).toMatch(/^I\([1-9]/)
      const requests = bench.proxy.seen.length

      const resumed = await run('file')
      const starts = bench.proxy.seen.slice(requests).map(({ start: first }) => first ?? 0)
      const sent = bench.proxy.sent
      const again = await run('file')

      expect(resumed).toEqual({ isUnchanged: false, sent: FILE.length })
      expect(Math.max(...starts)).toBeGreaterThan(MiB)
      expect(again).toMatchObject({ isUnchanged: true })
      expect(bench.proxy.sent).toBe(sent)
      expect((await bench.stored()).equals(FILE)).toBe(true)
    })

    test('sends a stream of unknown length', async () => {
      const result = await run('stream')

      expect(result).toEqual({ isUnchanged: false, sent: FILE.length })
      expect((await bench.stored()).equals(FILE)).toBe(true)
    })
  })
})
