import { once } from 'node:events'
import { appendFile, mkdtemp, open, rename, rm, truncate, writeFile } from 'node:fs/promises'
import http from 'node:http'
import { existsSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

import { upload } from 'partial-upload/client/node'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { MiB, pattern, useBench } from '../support/client/setup.ts'

const FILE = pattern(3 * MiB + 5)

describe('a file as source', () => {
  const bench = useBench()
  let directory = ''
  let file = ''

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-client-'))
    file = path.join(directory, 'a.bin')
    await writeFile(file, FILE)
  })
  afterEach(async () => rm(directory, { recursive: true }))

  test('is named by its path, or by a file URL', async () => {
    await upload(bench.url, file, bench.options).done
    await upload(`${bench.url}2`, pathToFileURL(file), bench.options).done

    expect((await bench.stored()).equals(FILE)).toBe(true)
  })

  test('may be open, and stays open', async () => {
    const handle = await open(file)

    await upload(bench.url, handle, bench.options).done

    expect((await bench.stored()).equals(FILE)).toBe(true)
    expect((await handle.stat()).size).toBe(FILE.length)
    await handle.close()
  })

  test('resumes after a cut', async () => {
    bench.proxy.fail('PATCH', { kind: 'cut', after: MiB })

    await upload(bench.url, file, { ...bench.options, reprDigest: true }).done

    expect((await bench.stored()).equals(FILE)).toBe(true)
  })

  test('is hashed whole and by segment', async () => {
    const options = { ...bench.options, reprDigest: true, contentDigest: true, segmentSize: MiB }

    await upload(bench.url, file, options).done

    expect((await bench.stored()).equals(FILE)).toBe(true)
  })

  test('may be empty', async () => {
    await writeFile(file, '')

    const response = await upload(bench.url, file, bench.options).done

    expect(response.status).toBe(201)
  })

  test.each([
    ['does not exist', async () => rm(file)],
    ['is a folder', async () => rm(file).then(() => (file = directory))],
  ])('is refused if it %s', async (_why, act) => {
    await act()

    await expect(upload(bench.url, file, bench.options).done).rejects.toMatchObject({
      code: 'ERR_SOURCE',
    })
    await mkdtemp(directory)
  })

  test.runIf(existsSync('/proc/cpuinfo'))(
    'is refused if its size is not the number of its bytes',
    async () => {
      const { done } = upload(bench.url, '/proc/cpuinfo', bench.options)

      await expect(done).rejects.toMatchObject({
        code: 'ERR_SOURCE',
        message: 'the file contains more bytes than its size of 0 bytes',
      })
      expect(await bench.state()).toBe('∅')
    },
  )

  test.each([
    ['grows', async () => appendFile(file, 'more')],
    ['shrinks', async () => truncate(file, 5)],
  ])('is refused if it %s meanwhile', async (_how, act) => {
    bench.proxy.fail('HEAD', { kind: 'first', act })

    await expect(upload(bench.url, file, bench.options).done).rejects.toMatchObject({
      code: 'ERR_SOURCE',
      message: 'the file has changed since the upload began',
    })
    expect(await bench.state()).toBe('∅')
  })
})

describe('a file that a rename replaces', () => {
  const bench = useBench()

  test('is uploaded as it was when it was opened, even after a cut', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-client-'))
    const [file, next] = [path.join(directory, 'a.bin'), path.join(directory, 'next.bin')]
    await writeFile(file, FILE)
    await writeFile(next, Buffer.alloc(FILE.length, 'x'))
    bench.proxy.fail('HEAD', { kind: 'first', act: () => rename(next, file) })
    bench.proxy.fail('PATCH', { kind: 'cut', after: MiB })

    await upload(bench.url, file, bench.options).done

    expect((await bench.stored()).equals(FILE)).toBe(true)
    await rm(directory, { recursive: true })
  })
})

describe('a large request over node:http', () => {
  const bench = useBench()

  test('costs no bytes if it is refused', async () => {
    const server = net.createServer()
    const received: string[] = []
    server.on('connection', (socket) => {
      socket.on('data', (data) => {
        received.push(data.toString('latin1'))
        const status = received.length === 1 ? '404 Not Found' : '403 Forbidden'
        socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`)
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as net.AddressInfo

    await expect(upload(`http://127.0.0.1:${port}/`, FILE).done).rejects.toMatchObject({
      status: 403,
    })

    expect(received).toHaveLength(2)
    expect(received[1]).toMatch(/\r\nexpect: 100-continue\r\n/i)
    expect(received[1]?.endsWith('\r\n\r\n')).toBe(true)
    server.close()
  })

  test('is sent to a server that does not know Expect', async () => {
    const server = http.createServer()
    let size = 0
    server.on('checkContinue', (req: http.IncomingMessage, res: http.ServerResponse) => {
      req.on('data', (chunk: Buffer) => (size += chunk.byteLength))
      req.on('end', () => res.writeHead(201, { ETag: '"a"', 'Upload-Length': size }).end())
    })
    server.on('request', (_req, res) => res.writeHead(404).end())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as net.AddressInfo

    const response = await upload(`http://127.0.0.1:${port}/`, FILE).done

    expect(response.status).toBe(201)
    expect(size).toBeGreaterThan(FILE.length)
    server.closeAllConnections()
    server.close()
  })

  test('goes through the agent that is given', async () => {
    const agent = new http.Agent({ keepAlive: true })

    await upload(bench.url, FILE, { ...bench.options, agent }).done

    expect(Object.values(agent.freeSockets).flat()).toHaveLength(1)
    agent.destroy()
  })
})
