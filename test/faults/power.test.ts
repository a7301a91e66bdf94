/** Power cuts: what was answered as safe is there, and without the fsyncs it is not. */
import { describe, expect, it } from 'vitest'

import { Disk, FILE_SYSTEMS, noPowerCut } from './power-disk.ts'
import { KINDS, Tags, Worker, random } from './power-work.ts'
import { FaultServer, pattern, title } from './server.ts'

const SIZE = 300_000
/** Of each file system and mode. */
const CUTS = Number(process.env['FAULT_CUTS'] ?? 3)

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

    it.each(['complete', 'segment'] as const)(
      `that loses its power ${CUTS} times keeps with fsync: %s all that it promises`,
      { timeout: 60_000 + CUTS * 20_000 },
      async (fsync) => {
        const disk = await Disk.make(fileSystem)
        const options = { directory: disk.directory, storage: { fsync } }
        const tags = new Tags()
        const workers = KINDS.map((kind) => new Worker(kind, tags, fsync === 'segment'))
        let server = await FaultServer.start({ ...options, shell: disk.shell })
        for (let cuts = 0; cuts < CUTS; cuts += 1) {
          await workUntilCut(disk, server, workers)
          server = await FaultServer.start({ ...options, shell: disk.restart() })
          for (const worker of workers) await worker.check(server)
        }

        const idle = workers.filter(({ changes }) => changes === 0).map(({ kind }) => kind)
        expect(idle).toEqual([])
      },
    )
  })
})

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
  const readers = workers.map(async (worker) => worker.read(server, () => isOver).catch(() => {}))
  await Promise.race([reached, Promise.all(atWork)])
  await new Promise((resolve) => setTimeout(resolve, random(20)))
  isOver = true
  await disk.cutPower(random(2) === 0 ? 'all' : 'data')
  await server.kill()
  await Promise.all([...atWork, ...readers])
}
