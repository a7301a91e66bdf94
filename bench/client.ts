/** The client's process: carries out one job per message and answers with the seconds it took. */

import { Connection } from './connection.ts'
import { PROTOCOLS, type ProtocolName, type Resumable } from './protocols.ts'

/** What the client is to send. */
export interface Job {
  /** One body, one upload in segments, or HEAD requests of one incomplete upload. */
  readonly kind: 'body' | 'segments' | 'head'
  readonly protocol: ProtocolName
  readonly port: number
  /** Name of the upload, for protocols where the client chooses it. */
  readonly name: string
  /** Requests to send; 1 for a body. */
  readonly count: number
  /** Content of one request in bytes; 0 for HEAD. */
  readonly size: number
}

process.on('message', (message) => {
  if (!isJob(message)) throw new TypeError('not a job')
  carryOut(message).then(
    (seconds) => process.send?.({ seconds }),
    (error: unknown) => process.send?.({ error: String(error) }),
  )
})
process.on('disconnect', () => process.exit())

async function carryOut(job: Job): Promise<number> {
  const connection = await Connection.open(job.port)
  try {
    switch (job.kind) {
      case 'body':
        return await timed(() => PROTOCOLS[job.protocol].upload(connection, job.name, job.size))
      case 'segments':
        return await timed(() => sendSegments(connection, job))
      case 'head':
        return await sendHeads(connection, job)
    }
  } finally {
    connection.close()
  }
}

async function sendSegments(connection: Connection, job: Job): Promise<void> {
  const protocol = resumable(job)
  const size = job.count * job.size
  const target = await protocol.begin(connection, job.name, size)
  for (let start = 0; start < size; start += job.size) {
    await protocol.segment(connection, target, { start, end: start + job.size }, size)
  }
}

async function sendHeads(connection: Connection, job: Job): Promise<number> {
  const protocol = resumable(job)
  const target = await protocol.begin(connection, job.name, 2048)
  await protocol.segment(connection, target, { start: 0, end: 1024 }, 2048)
  const request = {
    method: 'HEAD',
    target,
    fields: protocol.headFields,
    expect: protocol.headStatus,
  }
  return await timed(async () => {
    for (let sent = 0; sent < job.count; sent += 1) {
      await connection.exchange(request)
    }
  })
}

function resumable({ protocol }: Job): Resumable {
  const { resumable: found } = PROTOCOLS[protocol]
  if (found === undefined) throw new TypeError(`${protocol} has no segments`)
  return found
}

async function timed(run: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await run()
  return (performance.now() - start) / 1000
}

function isJob(message: unknown): message is Job {
  return typeof message === 'object' && message !== null && 'kind' in message
}
