/**
 * Servers on one bucket, behind a proxy that loses, repeats and delays their requests to the store.
 */
import { randomBytes } from 'node:crypto'

import { CreateBucketCommand } from '@aws-sdk/client-s3'

import { json } from '../../support/wire/client.ts'
import type { Answer } from '../../support/wire/client.ts'
import { startProcess } from '../../support/faults/process.ts'
import type { ServerProcess } from '../../support/faults/process.ts'
import { newClient } from '../../support/s3/engine-process.ts'
import { FaultProxy, WIRE_FAULTS } from '../../support/s3/fault-proxy.ts'
import type { WireFault } from '../../support/s3/fault-proxy.ts'
import { KINDS, createRandom, pick } from '../../faults/torture/model.ts'
import type { Kind, Random } from '../../faults/torture/model.ts'
import type { Score } from '../../faults/torture/round.ts'
import { runRounds } from '../../faults/torture/run.ts'
import type { Run, RunOptions, Subject } from '../../faults/torture/run.ts'
import type { S3ChildOptions } from './child.ts'

/** Options of a run on a bucket. */
export interface BucketTortureOptions extends RunOptions {
  /** URL of the store behind the proxy. */
  readonly engine: string
  readonly servers: 2 | 3
  /** Percentage of the requests to the store that meet a fault. */
  readonly faults: number
  /** The faults to choose from. @default all */
  readonly kinds?: readonly WireFault[]
}

/** Runs rounds on a new bucket. */
export function tortureBucket(options: BucketTortureOptions): Promise<Score> {
  return runRounds(new BucketSubject(options), options)
}

class BucketSubject implements Subject {
  readonly servers: number
  readonly kinds: readonly Kind[] = KINDS.filter((kind) => kind !== 'expire' && kind !== 'sweep')
  readonly mayHalt = true
  readonly connections = 0
  readonly patience = {
    pause: 100,
    /** The outcome of a request is unknown if the store has not answered the server in time. */
    isUnsure: (answer: Answer): boolean =>
      answer.status === 503 && json(answer)['code'] === 'ERR_STORAGE_UNAVAILABLE',
  }
  readonly #options: BucketTortureOptions
  readonly #random: Random
  readonly #bucket = `torture-${randomBytes(8).toString('hex')}`
  readonly #proxy: FaultProxy

  constructor(options: BucketTortureOptions) {
    this.servers = options.servers
    this.#options = options
    this.#random = createRandom(`${options.seed} proxy`)
    this.#proxy = new FaultProxy(options.engine)
  }

  async start(): Promise<void> {
    const client = newClient(this.#options.engine)
    await client.send(new CreateBucketCommand({ Bucket: this.#bucket }))
    client.destroy()
    await this.#proxy.start()
  }

  stop(): Promise<void> {
    return this.#proxy.stop()
  }

  startServer(): Promise<ServerProcess> {
    const options: S3ChildOptions = { endpoint: this.#proxy.endpoint, bucket: this.#bucket }
    return startProcess(options, { entry: '../../engines/torture/child.ts' })
  }

  work(): readonly Promise<void>[] {
    const { faults, kinds = WIRE_FAULTS } = this.#options
    this.#proxy.decide = () => (this.#random(100) < faults ? pick(kinds, this.#random) : null)
    return []
  }

  async endWork(): Promise<void> {
    this.#proxy.decide = () => null
    await this.#proxy.idle()
  }

  async replace({ fleet }: Run, victim: ServerProcess): Promise<void> {
    await fleet.replace(victim)
  }
}
