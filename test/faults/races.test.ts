/** Two processes on the same files, one of which is slow at the worst moment. */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'

import { describe, expect, it, vi } from 'vitest'

import { field, request } from '../support/wire/client.ts'
import type { Answer } from '../support/wire/client.ts'
import { FaultServer, NO_TRACE, inject, newDirectory, title } from '../support/faults/server.ts'

const TYPE = 'text/x-known'
/** Time by which each call of a slow reader is delayed, in milliseconds. */
const DELAY = 30

async function share(directory: string): Promise<FaultServer> {
  return FaultServer.start({ entry: 'sharing.ts', directory })
}

function put(server: FaultServer): Promise<Answer> {
  return server.send('PUT', '/files/a', [`Content-Type: ${TYPE}`], 'abc')
}

/** Returns the answer to a HEAD that is sent `pause` milliseconds before `change`. */
async function lookDuring(
  pause: number,
  reader: FaultServer,
  change: () => Promise<Answer>,
): Promise<Answer> {
  const changing = async (): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, pause))
    await change()
  }
  const [head] = await Promise.all([reader.send('HEAD', '/files/a'), changing()])
  return head
}

describe.skipIf(NO_TRACE !== null)(title('two processes', NO_TRACE), { timeout: 120_000 }, () => {
  it('one that reads slowly never treats a resource of the other as a foreign file', async () => {
    const directory = newDirectory()
    const [writer, reader] = [await share(directory), await share(directory)]
    await reader.state('/files/a')
    // Delay each call with which the reader opens the record and stats the file.
    const repair = await inject(reader.pid, `openat,statx:delay_enter=${DELAY * 1000}`)

    const types = new Set<string | null>()
    for (let pause = 0; pause < 4 * DELAY; pause += DELAY / 2) {
      const answers = [
        await lookDuring(pause, reader, () => put(writer)),
        await reader.send('HEAD', '/files/a'),
        await lookDuring(pause, reader, () => writer.send('DELETE', '/files/a')),
      ]
      for (const answer of answers) {
        if (answer.status !== 404) types.add(field(answer, 'content-type'))
      }
      expect(answers[1]?.status).toBe(200)
    }
    await repair()

    expect([...types]).toEqual([TYPE])
  })

  it.each(['unlink,unlinkat', 'rename,renameat,renameat2'])(
    'one that cleans up with a slow %s keeps what the other has created meanwhile',
    async (calls) => {
      const directory = newDirectory()
      const hidden = path.join(directory, '.partial-upload')
      const record = path.join(
        hidden,
        `${createHash('sha256').update('a').digest('base64url')}.json`,
      )
      mkdirSync(hidden)
      writeFileSync(record, '{}')
      const old = new Date(Date.now() - 2 * 3_600_000)
      utimesSync(record, old, old)
      const [writer, sweeper] = [await share(directory), await share(directory)]
      await writer.state('/files/other')
      await vi.waitFor(
        () => expect(readdirSync(hidden)).not.toContain(path.basename(record)),
        20_000,
      )
      writeFileSync(record, '{}')
      utimesSync(record, old, old)
      const repair = await inject(sweeper.pid, `${calls}:delay_enter=3000000:when=1`)
      await untilStuck(sweeper)

      await put(writer)
      const before = await writer.send('HEAD', '/files/a')
      await sweeper.state('/files/other')
      await repair()
      const after = await writer.send('HEAD', '/files/a')

      expect(field(after, 'etag')).toBe(field(before, 'etag'))
      expect(field(after, 'content-type')).toBe(TYPE)
    },
  )
})

/** Sends requests until no answer arrives, because the process waits for a system call. */
async function untilStuck(server: FaultServer): Promise<void> {
  const connection = await server.connect()
  for (;;) {
    connection.send(request('HEAD', '/files/other'))
    const answered = connection.answer('HEAD').then(() => true)
    const waited = new Promise<false>((resolve) => setTimeout(resolve, 300, false))
    if (!(await Promise.race([answered, waited]))) return
  }
}
