/**
 * The engines that tests of the S3 storage run on. `S3_ENGINES=rgw npm run test:long` chooses some
 * of them, and `S3_BUCKET=NAME S3_ENDPOINT=URL` adds a bucket of any store, with the usual
 * variables for its credentials.
 */
import { randomBytes } from 'node:crypto'

import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3'
import { inject } from 'vitest'

import { NO_ENGINE, newClient } from './engine-process.ts'
import type { EngineName } from './engine-process.ts'

/** Longer than an engine takes to start on a busy machine, in milliseconds. */
export const LONGEST_START = 240_000

/** A store to run tests on. */
export interface Engine {
  readonly name: EngineName | 'bucket'
  /** The reason that it can't run on this machine, for the title of a test; null if it can. */
  readonly missing: string | null
  /** Smallest part of a multipart upload, in bytes. */
  readonly partSize: number
  /**
   * Starts the engine unless it runs already, and creates a bucket unless `S3_BUCKET` names one.
   */
  readonly open: (options?: { readonly versioned?: boolean }) => Promise<OpenEngine>
}

/** A store that answers. */
export interface OpenEngine {
  /** URL of the store; undefined for Amazon S3 itself. */
  readonly endpoint: string | undefined
  readonly bucket: string
  /** A prefix that no other test uses. */
  readonly prefix: string
  /** A client for a proxy in front of the store, or for the store. */
  readonly newClient: (endpoint?: string) => S3Client
}

const { S3_ENGINES = 'rgw,moto', S3_BUCKET, S3_ENDPOINT, AWS_REGION = 'us-east-1' } = process.env

const SMALLEST_PART = { rgw: 64 * 1024, moto: 5 * 1024 ** 2 } as const

export const ENGINES: readonly Engine[] = [
  ...(['rgw', 'moto'] as const)
    .filter((name) => S3_ENGINES.split(',').includes(name))
    .map(ownEngine),
  ...(S3_BUCKET === undefined ? [] : [givenBucket(S3_BUCKET)]),
]

function ownEngine(name: EngineName): Engine {
  return {
    name,
    missing: NO_ENGINE,
    partSize: SMALLEST_PART[name],
    async open({ versioned = false } = {}) {
      const answer = await fetch(inject('engineService') + name)
      const endpoint = await answer.text()
      if (!answer.ok) throw new Error(endpoint)
      const clientOf = (through = endpoint): S3Client => newClient(through)
      const bucket = `test-${randomBytes(8).toString('hex')}`
      const client = clientOf()
      await client.send(new CreateBucketCommand({ Bucket: bucket }))
      if (versioned) {
        const VersioningConfiguration = { Status: 'Enabled' } as const
        await client.send(
          new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }),
        )
      }
      client.destroy()
      return { endpoint, bucket, prefix: '', newClient: clientOf }
    },
  }
}

function givenBucket(bucket: string): Engine {
  return {
    name: 'bucket',
    missing: null,
    partSize: 5 * 1024 ** 2,
    async open() {
      const clientOf = (endpoint = S3_ENDPOINT): S3Client =>
        new S3Client({
          region: AWS_REGION,
          ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
        })
      const prefix = `test-${randomBytes(8).toString('hex')}/`
      return Promise.resolve({ endpoint: S3_ENDPOINT, bucket, prefix, newClient: clientOf })
    },
  }
}
