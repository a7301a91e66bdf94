/**
 * One upload through all kinds of interruptions. With 2 GiB and a minute without network:
 * `LONG_RUN_MIB=2048 LONG_RUN_CUT=60 npx vitest run --config test/vitest.config.ts
 * test/cli/long-run.test.ts`.
 */
import { createCipheriv, createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'

import { expect, test } from 'vitest'

import { Proxy, type SeenRequest } from '../support/client/proxy.ts'
import { MiB } from '../support/client/setup.ts'
import { startServer } from '../support/cli/server-process.ts'
import { useCommandLine } from '../support/cli/setup.ts'

const SIZE = Number(process.env['LONG_RUN_MIB'] ?? 64) * MiB
/** Milliseconds without network. */
const CUT = Number(process.env['LONG_RUN_CUT'] ?? 2) * 1000
/**
 * Upper bound of the bytes lost in socket buffers, the proxy and the server at each interruption.
 */
const IN_FLIGHT = 18 * MiB

const line = useCommandLine()

test(
  'an upload survives kills of the server, a cut network, and restarts of the client',
  async () => {
    const startedAt = Date.now()
    await writeNoise(line.at('film.mp4'), SIZE)
    let server = await startServer(line.at('uploads'))
    const proxy = new Proxy()
    await proxy.start(server.port)
    const url = `${proxy.origin}/files/film.mp4`
    const restart = async (): Promise<void> => {
      await server.end('SIGKILL')
      server = await startServer(line.at('uploads'), server.port)
    }

    const first = line.start('put', 'film.mp4', url)
    await proxy.reached(SIZE / 8)
    await restart()
    await proxy.reached((SIZE * 2) / 8)
    first.child.kill('SIGINT')
    const stopped = await first.outcome
    const second = line.start('put', 'film.mp4', url)
    await proxy.reached((SIZE * 3) / 8)
    await restart()
    await proxy.reached((SIZE * 4) / 8)
    proxy.cut()
    await sleep(CUT)
    proxy.reconnect()
    await proxy.reached((SIZE * 5) / 8)
    second.child.kill('SIGKILL')
    await second.outcome
    const third = line.start('put', 'film.mp4', url)
    await proxy.reached((SIZE * 6) / 8)
    await restart()
    const finished = await third.outcome

    const seconds = (Date.now() - startedAt) / 1000
    await proxy.stop()
    await server.end('SIGTERM')
    const patches = proxy.seen.filter(({ method }) => method === 'PATCH')
    const lost = lossesOf(patches)
    console.log(
      `${SIZE} bytes, ${proxy.sent} sent, ${proxy.sent - SIZE} of them twice ` +
        `in ${patches.length} requests (${lost.join(' + ')}), ` +
        `answered ${patches.map(({ status }) => status ?? 'nothing').join(', ')}, ${seconds.toFixed(0)} s`,
    )
    expect([stopped.code, finished.code]).toEqual([130, 0])
    expect(await digestOf(line.at('uploads', 'film.mp4'))).toBe(await digestOf(line.at('film.mp4')))
    expect(offsetsOf(proxy.seen)).toEqual(patches.slice(1).map(({ start }) => start))
    expect(lost.reduce((sum, size) => sum + size, 0)).toBe(proxy.sent - SIZE)
    // The late bytes of a command that was stopped can change the version after the next one has
    // asked for the offset. Its request is then refused, and the proxy reads all of it before it
    // passes the answer on.
    const interrupted = lost.filter((_, index) => patches[index]?.status === null)
    expect(Math.max(...interrupted)).toBeLessThanOrEqual(IN_FLIGHT)
  },
  CUT + (SIZE / MiB) * 500 + 120_000,
)

/**
 * Number of bytes of each request that were sent and lost: the next request began before its end.
 */
function lossesOf(patches: readonly SeenRequest[]): readonly number[] {
  return patches.slice(1).map(({ start }, index) => {
    const { start: before, data } = patches[index]!
    return (before ?? 0) + data - (start ?? 0)
  })
}

/** The offset that the server reported before each request; 0 for a 404. */
function offsetsOf(seen: readonly SeenRequest[]): readonly number[] {
  const segments = seen.flatMap(({ method }, index) => (method === 'PATCH' ? [index] : []))
  return segments.slice(1).map((end) => {
    const answer = seen.slice(0, end).findLast(({ status }) => status === 299 || status === 202)
    // A 202 acknowledges the segment. The last MiB follows it with the digest of the whole.
    return answer?.status === 202 ? (answer.start ?? 0) + answer.data : (answer?.length ?? 0)
  })
}

/** Makes bytes that differ between all files, and between all parts of one file. */
async function writeNoise(file: string, size: number): Promise<void> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16))
  const zeros = Readable.from(
    (function* () {
      for (let at = 0; at < size; at += MiB) yield Buffer.alloc(Math.min(MiB, size - at))
    })(),
  )
  await pipeline(zeros, cipher, createWriteStream(file))
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}
