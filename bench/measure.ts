import { spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'

import type { Job } from './client.ts'
import { DISCARD, type Contestant } from './contestants.ts'
import { ask, nextMessage, numberOf, start } from './ipc.ts'

/** The work of one measurement. */
export type Work = Pick<Job, 'kind' | 'count' | 'size' | 'connections' | 'range'>

/** The result of one measurement. */
export interface Sample {
  /** Time that the work took, in seconds. */
  readonly seconds: number
  /** Time that 1 % of the requests took longer than, in milliseconds. */
  readonly p99: number
  /** CPU time of the server's process, user and system, in seconds. */
  readonly cpu: number
  /** The largest resident memory of the server's process, in bytes. */
  readonly peak: number
}

/**
 * Starts the contestant's server on a new folder of `parent`, lets the client do `warmUp` and then
 * `work`, and removes the folder.
 *
 * @throws Error when fewer bytes are stored than were sent.
 */
export async function measure(
  client: ChildProcess,
  contestant: Contestant,
  { parent, warmUp, work }: { parent: string; warmUp: Work | null; work: Work },
): Promise<Sample> {
  const directory = await mkdtemp(path.join(parent, 'partial-upload-bench-'))
  const server = start(`servers/${contestant.server}`, [directory, ...contestant.args])
  try {
    const port = numberOf(await nextMessage(server), 'port')
    const { protocol } = contestant
    if (warmUp !== null) await ask(client, { ...warmUp, protocol, port, name: 'warm-up' })
    const before = await ask(server, 'usage')
    const done = await ask(client, { ...work, protocol, port, name: 'measured' })
    const after = await ask(server, 'usage')
    if (contestant.label !== DISCARD) await checkStored(directory, work)
    return {
      seconds: numberOf(done, 'seconds'),
      p99: numberOf(done, 'p99'),
      cpu: numberOf(after, 'cpu') - numberOf(before, 'cpu'),
      peak: numberOf(after, 'peak'),
    }
  } finally {
    await stop(server)
    await rm(directory, { recursive: true })
    // Write back the data of one contestant before the next one starts, which it would slow down
    // otherwise.
    spawnSync('sync')
  }
}

async function checkStored(directory: string, work: Work): Promise<void> {
  const isUpload = work.kind === 'upload' || work.kind === 'segments'
  const size = isUpload ? work.size * work.count * work.connections : work.size
  let stored = 0
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) stored += (await stat(path.join(entry.parentPath, entry.name))).size
  }
  if (stored < size) throw new Error(`${stored} bytes stored of ${size}`)
}

async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const exit = once(server, 'exit')
  server.kill('SIGKILL')
  await exit
}
