/** Counts the requests to the object store that the README's table of costs shows. */
import type { Server } from 'node:http'

import express from 'express'
import { partialUpload } from 'partial-upload'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { portOf, serve, stop } from '../support/examples/serve.ts'
import { pattern } from '../support/faults/pattern.ts'
import { table } from '../support/readme/documents.ts'
import { FakeBucket } from '../support/s3/fake-bucket.ts'
import type { Operation } from '../support/s3/faults.ts'
import { bucketStorage } from '../../src/storage/s3/store.ts'

const MIB = 1024 ** 2
/** Deletions and abortions are free of charge at Amazon. */
const READS: readonly Operation[] = ['get', 'head']
const FREE: readonly Operation[] = ['delete', 'abortMultipart']

let bucket: FakeBucket
let server: Server
let url: string

beforeEach(async () => {
  bucket = new FakeBucket()
  const storage = bucketStorage({
    bucket,
    prefix: '',
    internalPrefix: '.partial-upload/',
    memoryBudget: 256 * MIB,
    // The limits of `s3Storage`, without its timer, so that the counts do not depend on the
    // machine.
    limits: {
      partSize: 8 * MIB,
      minPartSize: 5 * MIB,
      maxCopySize: 256 * MIB,
      maxParts: 10_000,
      maxInline: MIB / 4,
      flushAfter: 3_600_000,
      concurrency: 4,
      publicationTimeout: 2000,
      readerAge: 3_600_000,
      tombstoneAge: 3_600_000,
      garbageAge: 86_400_000,
    },
  })
  server = await serve(express().use('/files', partialUpload({ storage })))
  url = `http://127.0.0.1:${portOf(server)}/files/a`
})

afterEach(() => stop(server))

const small = pattern(1000, 1)
const large = pattern(64 * MIB, 1)
/** Differs in each byte, because a byte that does not change is not written. */
const other = Buffer.from(large.map((byte) => 255 - byte))

const REQUESTS: Readonly<Record<string, readonly [before: Step, counted: Step]>> = {
  'HEAD of a file': [() => put(small), () => fetch(url, { method: 'HEAD' })],
  'HEAD of an upload': [() => patch(0, 65_536, large.length), () => fetch(url, { method: 'HEAD' })],
  'GET of a file': [() => put(small), () => fetch(url).then((answer) => answer.text())],
  'PUT of a new file of 1 kB': [nothing, () => put(small)],
  'PUT of a new file of 64 MiB': [nothing, () => put(large)],
  'PATCH with 64 KiB of an upload': [
    () => patch(0, 65_536, large.length),
    () => patch(65_536, 131_072, large.length),
  ],
  'PATCH of one byte of a file of 64 MiB': [
    () => put(large),
    () => patch(5, 6, large.length, other),
  ],
  'DELETE of a file': [() => put(small), () => fetch(url, { method: 'DELETE' })],
}

type Step = () => Promise<unknown>

test('the README counts the requests of each row', async () => {
  const rows = table('src/storage/README.md', 'request to the server')
  expect(rows.map(([name]) => name)).toEqual(Object.keys(REQUESTS))
})

test.each(Object.entries(REQUESTS))('%s', async (name, [before, counted]) => {
  await before()
  const start = bucket.faults.requests.length

  await counted()
  const made = bucket.faults.requests.slice(start).map(({ operation }) => operation)
  const charged = made.filter((operation) => !FREE.includes(operation))
  const reads = charged.filter((operation) => READS.includes(operation)).length
  const row = table('src/storage/README.md', 'request to the server').find(
    ([cell]) => cell === name,
  )
  expect(row?.slice(1, 3)).toEqual([String(charged.length - reads), String(reads)])
})

async function nothing(): Promise<void> {
  await Promise.resolve()
}

async function put(bytes: Buffer): Promise<void> {
  const answer = await fetch(url, { method: 'PUT', body: bytes })
  expect(answer.ok).toBe(true)
}

async function patch(start: number, end: number, length: number, from = large): Promise<void> {
  const head = Buffer.from(`Content-Range: bytes ${start}-${end - 1}/${length}\r\n\r\n`)
  const answer = await fetch(url, {
    method: 'PATCH',
    headers: { 'Content-Type': 'message/byteranges' },
    body: Buffer.concat([head, from.subarray(start, end)]),
  })
  expect(answer.ok).toBe(true)
}
