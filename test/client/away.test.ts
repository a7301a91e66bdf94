/**
 * A server that is unreachable in the middle of an upload. For half a minute: `AWAY_SECONDS=30 npx
 * vitest run --config test/vitest.config.ts test/client/away.test.ts`.
 */
import { createHash } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { openAsBlob } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { expect, onTestFinished, test } from 'vitest'

import { startServer, type ServerProcess } from '../support/cli/server-process.ts'
import { CLIENTS, KiB, MiB, pattern } from '../support/client/setup.ts'

/** Time for which the server is unreachable, in milliseconds. */
const AWAY = Number(process.env['AWAY_SECONDS'] ?? 3) * 1000
const FILE = pattern(128 * MiB)
/** Upper bound of the bytes lost in socket buffers and server memory when the server is killed. */
const IN_FLIGHT = 18 * MiB
/** Upper bound of the headers of some requests and of the framing of their chunks, in bytes. */
const FRAMING = 32 * KiB

test.each(CLIENTS)(
  'an upload over %s resumes when its server is back',
  async (name, { upload }) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'partial-upload-away-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const source = path.join(folder, 'source')
    await writeFile(source, FILE)
    const blob = await openAsBlob(source)
    const sockets = watchSockets()
    const uploads = path.join(folder, 'uploads')
    const server = await startServer(uploads)
    const errors: Error[] = []
    const offsets: number[] = []
    /** Connections until the first failure. */
    let opened = 0
    /** Reports until the last failure. */
    let reports = 0
    let back: Promise<ServerProcess> | null = null

    const startedAt = performance.now()
    const response = await upload(`http://127.0.0.1:${server.port}/files/film.mp4`, blob, {
      onProgress: ({ sent }) => {
        offsets.push(sent)
        if (sent > FILE.length / 4) back ??= goAway(server, uploads)
      },
      onState: (status) => {
        if (status.state !== 'waiting') return
        errors.push(status.error)
        opened ||= sockets.length
        reports = offsets.length
      },
    }).done
    const seconds = (performance.now() - startedAt) / 1000

    await (await back!).end('SIGTERM')
    const kept = offsets[reports] ?? 0
    const before = bytesOf(sockets.slice(0, opened))
    const after = bytesOf(sockets.slice(opened))
    console.log(
      `${name}: away for ${AWAY / 1000} s, done in ${seconds.toFixed(1)} s after ${errors.length} ` +
        `failures; ${before} bytes had left, ${kept} were kept, ${after} left after that`,
    )
    expect(response.ok).toBe(true)
    expect(errors.at(-1)).toMatchObject({ code: 'ERR_NETWORK' })
    expect(sha256(await readFile(path.join(uploads, 'film.mp4')))).toBe(sha256(FILE))
    expect(before - kept).toBeLessThan(IN_FLIGHT)
    expect(after - (FILE.length - kept)).toBeLessThan(FRAMING)
  },
  AWAY * 3 + 60_000,
)

/** Kills the server, and resolves with the next one on its port. */
async function goAway(server: ServerProcess, folder: string): Promise<ServerProcess> {
  await server.end('SIGKILL')
  await sleep(AWAY)
  return startServer(folder, server.port)
}

/** The connections of this process, as they are opened. */
function watchSockets(): readonly Socket[] {
  const sockets: Socket[] = []
  const note = (message: unknown) => sockets.push((message as { readonly socket: Socket }).socket)
  subscribe('net.client.socket', note)
  onTestFinished(() => void unsubscribe('net.client.socket', note))
  return sockets
}

function bytesOf(sockets: readonly Socket[]): number {
  return sockets.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0)
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
