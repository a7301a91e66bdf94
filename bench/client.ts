/** The client's process: carries out one job per message and answers with the seconds it took. */

import { Connection } from './connection.ts'
import { oneByte, PROTOCOLS, type ProtocolName, type Resumable } from './protocols.ts'

/** The requests that the client sends. */
export interface Job {
  /**
   * - `upload`: `connections` at a time, each with `count` bodies of `size` bytes, one after the
   *   other
   * - `segments`: `count` segments of `size` bytes of one upload
   * - `head`: `count` HEAD requests of one incomplete upload
   * - `get`: `count` GET requests of a file of `size` bytes, of which `range` bytes are asked for
   * - `patch`: `count` patches of one byte of a finished file of `size` bytes
   */
  readonly kind: 'upload' | 'segments' | 'head' | 'get' | 'patch'
  readonly protocol: ProtocolName
  readonly port: number
  /** Name of the upload, for protocols where the client chooses it. */
  readonly name: string
  readonly count: number
  /** Bytes. */
  readonly size: number
  /** Connections at a time; 1 but for uploads. */
  readonly connections: number
  /** Bytes of the range that a GET asks for; null for the whole file. */
  readonly range: number | null
}

/** The result of a job. */
export interface Timing {
  /** Time of the whole job, in seconds. */
  readonly seconds: number
  /** Time that 1 % of the requests exceed, in milliseconds. */
  readonly p99: number
}

process.on('message', (message) => {
  if (!isJob(message)) throw new TypeError('not a job')
  carryOut(message).then(
    (timing) => process.send?.(timing),
    (error: unknown) => process.send?.({ error: String(error) }),
  )
})
process.on('disconnect', () => process.exit())

async function carryOut(job: Job): Promise<Timing> {
  const connections = await Promise.all(
    Array.from({ length: job.connections }, () => Connection.open(job.port)),
  )
  try {
    const [first] = connections
    if (first === undefined) throw new TypeError('a job needs a connection')
    switch (job.kind) {
      case 'upload':
        return await upload(connections, job)
      case 'segments':
        return await sendSegments(first, job)
      case 'head':
        return await sendHeads(first, job)
      case 'get':
        return await download(first, job)
      case 'patch':
        return await patch(first, job)
    }
  } finally {
    closeAll(connections)
  }
}

function closeAll(connections: readonly Connection[]): void {
  for (const connection of connections) connection.close()
}

async function upload(connections: readonly Connection[], job: Job): Promise<Timing> {
  const times: number[] = []
  const start = performance.now()
  await Promise.all(
    connections.map(async (connection, index) => {
      for (let sent = 0; sent < job.count; sent += 1) {
        const begun = performance.now()
        await PROTOCOLS[job.protocol].upload(connection, `${job.name}-${index}-${sent}`, job.size)
        times.push(performance.now() - begun)
      }
    }),
  )
  return { seconds: (performance.now() - start) / 1000, p99: percentile(times) }
}

async function sendSegments(connection: Connection, job: Job): Promise<Timing> {
  const protocol = resumable(job)
  const size = job.count * job.size
  const target = await protocol.begin(connection, job.name, size)
  return await repeat(job.count, (sent) => {
    const start = sent * job.size
    return protocol.segment(connection, target, { start, end: start + job.size }, size)
  })
}

async function sendHeads(connection: Connection, job: Job): Promise<Timing> {
  const protocol = resumable(job)
  const target = await protocol.begin(connection, job.name, 2048)
  await protocol.segment(connection, target, { start: 0, end: 1024 }, 2048)
  const request = {
    method: 'HEAD',
    target,
    fields: protocol.headFields,
    expect: protocol.headStatus,
  }
  return await repeat(job.count, () => connection.exchange(request))
}

async function download(connection: Connection, { protocol, name, ...job }: Job): Promise<Timing> {
  await PROTOCOLS[protocol].upload(connection, name, job.size)
  const { range, size } = job
  return await repeat(job.count, async (sent) => {
    const start = range === null ? 0 : (sent * range) % (size - range)
    const response = await connection.exchange({
      method: 'GET',
      target: `/files/${name}`,
      fields: range === null ? {} : { Range: `bytes=${start}-${start + range - 1}` },
      expect: range === null ? 200 : 206,
    })
    if (response.size !== (range ?? size)) throw new Error(`${response.size} bytes of ${size}`)
  })
}

async function patch(connection: Connection, { protocol, name, ...job }: Job): Promise<Timing> {
  await PROTOCOLS[protocol].upload(connection, name, job.size)
  return await repeat(job.count, (sent) =>
    connection.exchange({
      method: 'PATCH',
      target: `/files/${name}`,
      fields: { 'Content-Type': 'message/byteranges' },
      // The block begins with another byte than the one that lies here: a replay would be free.
      content: oneByte((sent * 65_537 + 1) % job.size, job.size),
      expect: 204,
    }),
  )
}

/** Sends requests one after the other. */
async function repeat(count: number, send: (sent: number) => Promise<unknown>): Promise<Timing> {
  const times: number[] = []
  const start = performance.now()
  for (let sent = 0; sent < count; sent += 1) {
    const begun = performance.now()
    await send(sent)
    times.push(performance.now() - begun)
  }
  return { seconds: (performance.now() - start) / 1000, p99: percentile(times) }
}

function percentile(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b)
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN
}

function resumable({ protocol }: Job): Resumable {
  const { resumable: found } = PROTOCOLS[protocol]
  if (found === undefined) throw new TypeError(`${protocol} has no segments`)
  return found
}

function isJob(message: unknown): message is Job {
  return typeof message === 'object' && message !== null && 'kind' in message
}
