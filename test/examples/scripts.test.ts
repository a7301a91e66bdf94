/**
 * The uploaders in other languages: a new upload, a broken connection, and a different file at the
 * URL.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'

import express from 'express'
import { partialUpload } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { Proxy } from '../support/client/proxy.ts'
import { isInstalled, runExample, type Result } from '../support/examples/run.ts'
import { portOf, serve, stop } from '../support/examples/serve.ts'

const SCRIPTS = [
  {
    command: 'python3',
    script: 'python/upload.py',
    needs: ['python3'],
    repeatsItself: true,
    ifDifferent: 1,
  },
  {
    command: 'sh',
    script: 'resume.sh',
    needs: ['curl', 'openssl'],
    repeatsItself: false,
    ifDifferent: 3,
  },
]
const SIZE = 500_000

describe.each(SCRIPTS)('$script', ({ command, script, needs, repeatsItself, ifDifferent }) => {
  const proxy = new Proxy()
  let directory: string
  let server: Server
  let url: string
  let file: string
  let bytes: Buffer
  let number = 0

  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-script-'))
    server = await serve(express().use('/files', partialUpload({ storage: memoryStorage() })))
    await proxy.start(portOf(server))
  })

  afterAll(async () => {
    await proxy.stop()
    await stop(server)
    await rm(directory, { recursive: true })
  })

  beforeEach(async () => {
    number += 1
    url = `${proxy.origin}/files/${number}`
    file = path.join(directory, String(number))
    bytes = randomBytes(SIZE)
    await writeFile(file, bytes)
  })

  describe.skipIf(!needs.every(isInstalled))(`with ${needs.join(' and ')}`, () => {
    test.each([0, 300_000])('sends all but %i bytes', async (offset) => {
      if (offset > 0) await patch(bytes.subarray(0, offset), SIZE)

      const { code } = await run()

      expect(code).toBe(0)
      expect((await download()).equals(bytes)).toBe(true)
    })

    test('sends an empty file', async () => {
      await writeFile(file, '')

      const { code } = await run()

      expect(code).toBe(0)
      expect((await download()).length).toBe(0)
    })

    test('declares the length of an upload whose bytes have all arrived', async () => {
      await patch(bytes, '*')

      const { code } = await run()

      expect(code).toBe(0)
      expect((await download()).equals(bytes)).toBe(true)
    })

    test('resumes after a broken connection', async () => {
      proxy.fail('PATCH', { kind: 'cut', after: 300_000 })

      const first = await run()
      const last = repeatsItself ? first : await run()

      expect([first.code === 0, last.code]).toEqual([repeatsItself, 0])
      expect((await download()).equals(bytes)).toBe(true)
    })

    test('succeeds if the same file is at the URL', async () => {
      await fetch(url, { method: 'PUT', body: bytes })

      expect((await run()).code).toBe(0)
    })

    test('leaves a different file at the URL as it is, and fails', async () => {
      await fetch(url, { method: 'PUT', body: 'AAA' })

      const { code, output } = await run()

      expect([code, output]).toEqual([ifDifferent, expect.stringContaining('different file')])
      expect((await download()).toString()).toBe('AAA')
    })

    test('does not join the beginning and the end of two versions of a file', async () => {
      await patch(randomBytes(300_000), SIZE)

      const first = await run()
      const second = await run()

      expect([first.code, first.output]).toEqual([1, expect.stringContaining('ERR_REPR_DIGEST')])
      expect(second.code).toBe(0)
      expect((await download()).equals(bytes)).toBe(true)
    })
  })

  test.runIf(needs.every(isInstalled))('fails if no server answers', async () => {
    const { code } = await runExample(command, script, [file, 'http://127.0.0.1:1/files/a'])

    expect(code).toBe(1)
  })

  function run(): Promise<Result> {
    return runExample(command, script, [file, url])
  }

  async function patch(data: Buffer, length: number | string): Promise<void> {
    const header = `Content-Range: bytes 0-${data.length - 1}/${length}\r\n\r\n`
    const answer = await fetch(url, {
      method: 'PATCH',
      headers: { 'Content-Type': 'message/byteranges' },
      body: Buffer.concat([Buffer.from(header), data]),
    })
    expect(answer.status).toBe(202)
  }

  async function download(): Promise<Buffer> {
    const answer = await fetch(url)
    expect(answer.status).toBe(200)
    return Buffer.from(await answer.arrayBuffer())
  }
})
