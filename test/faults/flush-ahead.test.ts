/**
 * Large uploads, which are flushed while they arrive. If such a flush fails, the bytes must not be
 * acknowledged.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'

import { describe, expect, it } from 'vitest'

import { MESSAGE, message } from '../support/wire/client.ts'
import {
  FaultServer,
  MEMORY,
  NO_TRACE,
  inject,
  newDirectory,
  pattern,
  title,
} from '../support/faults/server.ts'

const SIZE = 40 * 1024 * 1024
const DATA = pattern(SIZE)

const UPLOADS = {
  'a PATCH': ['PATCH', [MESSAGE], message(`bytes 0-${SIZE - 1}/${SIZE}`, DATA), `I(0/${SIZE})`],
  'a PUT': ['PUT', [], DATA, '∅'],
} as const

/** One `fdatasync` fails. The flush at the end is an `fsync`, and succeeds. */
const FAULTS = {
  'fails at once': 'fdatasync:error=EIO:when=1',
  'fails when all has arrived': 'fdatasync:error=EIO:delay_exit=2000000:when=1',
} as const

describe.skipIf(NO_TRACE !== null)(title('a flush in the middle of', NO_TRACE), () => {
  it.each(
    Object.entries(UPLOADS).flatMap(([name, upload]) =>
      Object.entries(FAULTS).map(([what, fault]) => [name, what, upload, fault] as const),
    ),
  )('%s that %s is not forgotten', { timeout: 60_000 }, async (_name, _what, upload, fault) => {
    const [method, fields, body, left] = upload
    const directory = newDirectory(MEMORY)
    const server = await FaultServer.start({ directory })
    await server.state('/files/a')
    const repair = await inject(server.pid, fault)

    const failed = await server.send(method, '/files/a', fields, body)
    await repair()
    const state = await server.state('/files/a')
    const again = await server.send(method, '/files/a', fields, body)

    expect([failed.status, state]).toEqual([500, left])
    expect(again.status).toBe(201)
    expect(readFileSync(path.join(directory, 'a')).equals(DATA)).toBe(true)
  })
})
