/** Power cuts: acknowledged bytes survive, and without the fsyncs they are lost. */
import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'

import { describe, expect, it, vi } from 'vitest'

import { MESSAGE, message, request } from '../support/wire/client.ts'
import { Disk, FILE_SYSTEMS, RESTARTS, noPowerCut } from '../support/faults/power-disk.ts'
import { KINDS, Tags, Worker, random } from '../support/faults/power-work.ts'
import { FaultServer, NO_TRACE, inject, pattern, title } from '../support/faults/server.ts'

const SIZE = 300_000
/** Number of power cuts for each file system and mode. */
const CUTS = Number(process.env['FAULT_CUTS'] ?? 3)
/** One in this number of resources is read while it changes. */
const READ = 5

describe.each(FILE_SYSTEMS)('after a power cut on %s', (fileSystem) => {
  const missing = noPowerCut(fileSystem)

  describe.skipIf(missing !== null)(title('a server', missing), () => {
    it.each([
      ['complete', 'C(300000)', '∅'],
      ['segment', 'C(300000)', 'I(100000/300000)'],
      ['never', '∅', '∅'],
    ] as const)(
      'with fsync: %s has a finished file as %s, an upload as %s',
      async (fsync, file, upload) => {
        const disk = await Disk.make(fileSystem)
        const options = { directory: disk.directory, storage: { fsync } }
        const server = await FaultServer.start({ ...options, shell: disk.shell })
        await server.state('/files/any')
        await disk.flush()

        const answers = [
          await server.patch('/files/a/upload', 'bytes 0-99999/300000', pattern(100_000)),
          await server.send('PUT', '/files/a/file', [], pattern(SIZE)),
        ]
        await disk.cutPower()
        await server.kill()
        const next = await FaultServer.start({ ...options, shell: disk.restart() })

        expect(answers.map(({ status }) => status)).toEqual([202, 201])
        expect(await next.state('/files/a/file')).toBe(file)
        expect(await next.state('/files/a/upload')).toBe(upload)
      },
    )

    it.each(RESTARTS)(
      'does not count bytes that were in flight, after a new %s',
      async (restart) => {
        const disk = await Disk.make(fileSystem)
        const options = { directory: disk.directory, storage: { fsync: 'segment' } } as const
        const server = await FaultServer.start({ ...options, shell: disk.shell })
        await server.patch('/files/a', 'bytes 0-99/300', pattern(100))
        const connection = await server.connect()
        const body = message('bytes 100-199/300', pattern(200).subarray(100))
        connection.send(request('PATCH', '/files/a', [MESSAGE], body).subarray(0, -1))
        await server.becomes('/files/a', 'I(199/300)')
        // The fsync of this file also stores the length of the other file, but not its bytes.
        await server.send('PUT', '/files/b', [], 'abc')
        await disk.cutPower()
        await server.kill()
        const next = await FaultServer.start({ ...options, shell: disk.restart(restart) })

        const { length } = await prefixOf(pattern(300), next, '/files/a')
        expect(length).toBeGreaterThanOrEqual(100)
        const rest = pattern(300).subarray(length)
        expect((await next.patch('/files/a', `bytes ${length}-299/300`, rest)).status).toBe(201)
        expect((await next.send('GET', '/files/a')).body.equals(pattern(300))).toBe(true)
      },
    )

    it(
      'keeps the earlier bytes of an upload with fsync: complete',
      { timeout: 90_000 },
      async () => {
        const disk = await Disk.make(fileSystem)
        const options = { directory: disk.directory }
        const server = await FaultServer.start({ ...options, shell: disk.shell })
        await server.patch('/files/a', 'bytes 0-99999/300000', pattern(100_000))
        const hidden = path.join(disk.window, '.partial-upload')
        await vi.waitFor(
          () => {
            const mark = readdirSync(hidden).find((name) => name.endsWith('.safe')) ?? 'none'
            expect(readFileSync(path.join(hidden, mark), 'latin1')).toContain(' 100000 ')
            // The watermark file is closed when it is flushed.
            expect(server.files().filter((file) => file.endsWith('.safe'))).toEqual([])
          },
          { timeout: 60_000, interval: 100 },
        )
        const more = pattern(300_000).subarray(100_000, 200_000)
        await server.patch('/files/a', 'bytes 100000-199999/*', more)
        // The directory entry of the watermark is stored last. This PUT returns after that.
        await server.send('PUT', '/files/b', [], 'abc')
        await disk.cutPower()
        await server.kill()
        const next = await FaultServer.start({ ...options, shell: disk.restart() })

        const { length } = await prefixOf(pattern(300_000), next, '/files/a')
        expect(length).toBeGreaterThanOrEqual(100_000)
      },
    )

    // A single missing fsync later in the write has no effect, because the next fsync stores the
    // journal up to its own entry.
    it.skipIf(NO_TRACE !== null).each([
      ['of the data', '1', 'C(0)'],
      ['of anything', '1+', '∅'],
    ])(
      title('loses a file that was answered 201 without the fsync %s', NO_TRACE),
      async (_name, when, state) => {
        // The system may write back by itself before the cut, if other programs write much. It does
        // not do so five times in a row.
        const states: string[] = []
        while (states.length < 5 && !states.includes(state)) {
          states.push(await stateWithoutFsync(fileSystem, when))
        }

        expect(states).toContain(state)
      },
    )

    it.each([
      ['complete', {}],
      ['segment', {}],
      ['complete', { patch: 'layers', layersAbove: 0, rebuildAfter: 20 }],
    ] as const)(
      `that loses its power ${CUTS} times keeps with fsync: %s, %j all that it promises`,
      { timeout: 60_000 + CUTS * 20_000 },
      async (fsync, layers) => {
        const disk = await Disk.make(fileSystem)
        const options = { directory: disk.directory, storage: { fsync, ...layers } }
        const tags = new Tags()
        const workers = KINDS.map((kind) => new Worker(kind, tags, fsync === 'segment'))
        let server = await FaultServer.start({ ...options, shell: disk.shell })
        for (let cuts = 0; cuts < CUTS; cuts += 1) {
          await workUntilCut(disk, server, workers)
          // Alternate between the kinds of restart. The first one is the kind that a boot id does
          // not show.
          const restart = RESTARTS[(cuts + 1) % RESTARTS.length]
          server = await FaultServer.start({ ...options, shell: disk.restart(restart) })
          for (const worker of workers) await worker.check(server)
        }

        const idle = workers.filter(({ changes }) => changes === 0).map(({ kind }) => kind)
        expect(idle).toEqual([])
      },
    )
  })
})

/**
 * Returns the stored bytes of an upload, after a check that they are a prefix of the sent bytes.
 */
async function prefixOf(whole: Buffer, server: FaultServer, target: string): Promise<Buffer> {
  const state = await server.state(target)
  const { body } = await server.send('GET', target)
  expect(state).toBe(`I(${body.length}/${whole.length})`)
  expect(body.equals(whole.subarray(0, body.length))).toBe(true)
  return body
}

/** Lets all clients work at the same time, and cuts the power in the middle. */
async function workUntilCut(
  disk: Disk,
  server: FaultServer,
  workers: readonly Worker[],
): Promise<void> {
  let left = 10 + random(100)
  let isOver = false
  let reach = (): void => undefined
  const reached = new Promise<void>((resolve) => {
    reach = resolve
  })
  const atWork = workers.map(async (worker) => {
    const onChange = (): void => {
      left -= 1
      if (left === 0) reach()
    }
    await worker.work(await server.connect(), () => isOver, onChange)
  })
  // Read other resources in each round. If all were read, the server would have little time to
  // write.
  const first = random(READ)
  const read = workers.filter((_worker, index) => index % READ === first)
  const readers = read.map((worker) => worker.read(server, () => isOver).catch(() => {}))
  await Promise.race([reached, Promise.all(atWork)])
  await new Promise((resolve) => setTimeout(resolve, random(20)))
  isOver = true
  await disk.cutPower(random(2) === 0 ? 'all' : 'data')
  await server.kill()
  await Promise.all([...atWork, ...readers])
}

/**
 * Returns the state after a power cut of a file whose PUT was answered 201, while the fsyncs that
 * `when` names had no effect.
 */
async function stateWithoutFsync(
  fileSystem: (typeof FILE_SYSTEMS)[number],
  when: string,
): Promise<string> {
  const disk = await Disk.make(fileSystem)
  const options = { directory: disk.directory }
  const server = await FaultServer.start({ ...options, shell: disk.shell, threads: 1 })
  await server.send('PUT', '/files/a/other', [], 'abc')
  await disk.flush()
  const stop = await inject(server.pid, `fsync,fdatasync:retval=0:when=${when}`)
  const answer = await server.send('PUT', '/files/a/file', [], pattern(SIZE))
  await disk.cutPower()
  await stop()
  await server.kill()
  const next = await FaultServer.start({ ...options, shell: disk.restart() })

  expect(answer.status).toBe(201)
  expect(await next.state('/files/a/other')).toBe('C(3)')
  return next.state('/files/a/file')
}
