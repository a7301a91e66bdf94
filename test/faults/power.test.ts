/** Power cuts: what was answered as safe is there, and without the fsyncs it is not. */
import { describe, expect, it } from 'vitest'

import { Disk, FILE_SYSTEMS, noPowerCut } from './power-disk.ts'
import { FaultServer, pattern, title } from './server.ts'

const SIZE = 300_000

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
        const disk = new Disk(fileSystem)
        const server = await FaultServer.start({ directory: disk.directory, storage: { fsync } })
        await server.state('/files/any')
        await disk.flush()

        const answers = [
          await server.patch('/files/a/upload', 'bytes 0-99999/300000', pattern(100_000)),
          await server.send('PUT', '/files/a/file', [], pattern(SIZE)),
        ]
        await disk.cutPower()
        await server.kill()
        disk.unmount()
        disk.mount()
        const next = await FaultServer.start({ directory: disk.directory, storage: { fsync } })

        expect(answers.map(({ status }) => status)).toEqual([202, 201])
        expect(await next.state('/files/a/file')).toBe(file)
        expect(await next.state('/files/a/upload')).toBe(upload)
      },
    )
  })
})
