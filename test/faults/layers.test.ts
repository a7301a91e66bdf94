/** Servers that patch by layers, and are killed at each call that changes the disk. */
import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'

import { describe, expect, it, vi } from 'vitest'

import { MESSAGE, message, request } from '../support/wire/client.ts'
import { FaultServer, NO_TRACE, inject, newDirectory, title } from '../support/faults/server.ts'

const CALLS = [
  'pwrite64,pwritev,pwritev2',
  'fsync,fdatasync,ftruncate',
  'rename,renameat,renameat2',
  'unlink,unlinkat,rmdir',
].join(',')
/**
 * The system call that kills the process, counted from 1. A patch makes about ten of these calls,
 * and the rebuild after it about ten more.
 */
const NUMBERS = Array.from({ length: 16 }, (_, index) => index + 1)
const AT_ONCE = 4
const TARGET = '/files/a/file'

function serve(directory: string, rebuildAfter: number): Promise<FaultServer> {
  const storage = { patch: 'layers', layersAbove: 0, rebuildAfter } as const
  return FaultServer.start({ directory, storage, threads: 1 })
}

async function bytesOf(server: FaultServer): Promise<string> {
  const { status, body } = await server.send('GET', TARGET)
  return `${status} ${body.toString()}`
}

/** Kills a server at its call of this number, in a patch or in the rebuild after it. */
async function killAt(number: number): Promise<string> {
  const directory = newDirectory()
  const first = await serve(directory, 3_600_000)
  await first.send('PUT', TARGET, [], '0123456789')
  await first.patch(TARGET, 'bytes 1-1/*', 'a')
  await first.kill()
  // The rebuild begins after the answer, so that each number names one call.
  const server = await serve(directory, 300)
  const connection = await server.connect()
  const detach = await inject(server.pid, `${CALLS}:signal=SIGKILL:when=${number}`)
  const body = message('bytes 2-2/*', 'b')
  const answer = await connection.send(request('PATCH', TARGET, [MESSAGE], body)).answerOrClose()
  if (answer !== null) await vi.waitFor(() => isOver(server, directory), 20_000)
  const wasKilled = !isAlive(server)
  if (!wasKilled) {
    await detach()
    await server.kill()
  }

  const next = await serve(directory, 0)
  const after = await bytesOf(next)
  const patched = '200 0ab3456789'
  const isRight = after === patched || (answer === null && after === '200 0a23456789')
  expect(isRight, `call ${number}: ${answer?.status ?? 'no answer'}, then ${after}`).toBe(true)
  await next.patch(TARGET, 'bytes 9-9/*', 'z')
  expect(await bytesOf(next)).toBe(after.replace('9', 'z'))
  await vi.waitFor(
    () =>
      expect(readFileSync(path.join(directory, 'a/file'), 'utf8')).toBe(after.slice(4, -1) + 'z'),
    20_000,
  )
  await next.kill()
  return answer === null ? 'in the patch' : wasKilled ? 'in the rebuild' : 'never'
}

function isAlive({ pid }: FaultServer): boolean {
  try {
    return process.kill(pid, 0) && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

/** Throws unless the server is dead or has no layer left. */
function isOver(server: FaultServer, directory: string): void {
  const names = readdirSync(path.join(directory, '.partial-upload'))
  expect(isAlive(server) && names.some((name) => /\.(patch|data)$/.test(name))).toBe(false)
}

describe.skipIf(NO_TRACE !== null)(title('a server with layers', NO_TRACE), () => {
  it(
    'has the old bytes or the new ones after a kill at any call',
    { timeout: 300_000 },
    async () => {
      const moments: string[] = []
      for (let first = 0; first < NUMBERS.length; first += AT_ONCE) {
        const numbers = NUMBERS.slice(first, first + AT_ONCE)
        moments.push(...(await Promise.all(numbers.map(killAt))))
      }

      expect(moments).toContain('in the patch')
      expect(moments).toContain('in the rebuild')
      expect(moments).toContain('never')
    },
  )
})
