/** Servers that are killed while they work; `npm run torture` does it for longer. */
import { lutimesSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'

import { describe, expect, it, vi } from 'vitest'

import { request } from '../support/wire/client.ts'
import { FaultServer, NO_TRACE, inject, newDirectory, title } from '../support/faults/server.ts'
import { tortureFiles } from './torture/files.ts'

/** Kills that hit each kind of work in the middle. */
const KILLS = 4
const CALM = { timeout: 120_000 }

it.each([
  ['the only server', 1, false],
  ['one of two servers on the same files', 2, false],
  ['the only server, which patches by layers,', 1, true],
] as const)(
  `keeps acknowledged bytes and leaves no half-made change when %s is killed at any moment`,
  { timeout: 300_000 },
  async (_name, servers, hasLayers) => {
    const seed = String(Date.now())

    const score = await tortureFiles({
      directory: newDirectory(),
      kills: KILLS,
      servers,
      seed,
      hasLayers,
    })

    expect(score.violations, `with the seed ${seed}`).toEqual([])
    for (const kind of ['segment', 'put', 'patch', 'multipart', 'expire'] as const) {
      expect(score.row(kind).bytes, `bytes compared after kills of ${kind}`).toBeGreaterThan(0)
    }
  },
)

describe.skipIf(NO_TRACE !== null)(title('a DELETE', NO_TRACE), () => {
  it.each([
    ['the published file', 'rename', 'x/y/z', 'C(3)'],
    ['the first directory', 'rmdir', 'x/y', '∅'],
    ['the second directory', 'rmdir', 'x', '∅'],
    ['the record', 'rename', 'RECORD', '∅'],
  ])('that is killed before %s was removed leaves all or nothing', CALM, async (...row) => {
    const [, call, file, left] = row
    const directory = newDirectory()
    const hidden = path.join(directory, '.partial-upload')
    const first = await FaultServer.start({ directory, threads: 1 })
    await first.send('PUT', '/files/x/y/z', [], 'abc')
    const record = readdirSync(hidden).find((name) => name.endsWith('.json')) ?? ''
    const target = file === 'RECORD' ? path.join(hidden, record) : path.join(directory, file)
    await inject(first.pid, `${call}:signal=SIGKILL`, target)
    const connection = await first.connect()
    const answer = await connection.send(request('DELETE', '/files/x/y/z')).answerOrClose()
    const old = new Date(Date.now() - 2 * 3_600_000)
    for (const name of readdirSync(hidden)) lutimesSync(path.join(hidden, name), old, old)
    const next = await FaultServer.start({ directory })

    expect(answer).toBeNull()
    expect(await next.state('/files/x/y/z')).toBe(left)
    if (left !== '∅') await next.send('DELETE', '/files/x/y/z')
    await vi.waitFor(() => expect(readdirSync(directory)).toEqual(['.partial-upload']), 20_000)
    await vi.waitFor(() => expect(readdirSync(hidden)).toEqual([]), 20_000)
  })
})

it('directories that a killed DELETE has left do not block an upload', async () => {
  const directory = newDirectory()
  mkdirSync(path.join(directory, 'a/b/c'), { recursive: true })
  mkdirSync(path.join(directory, 'd/e'), { recursive: true })
  writeFileSync(path.join(directory, 'd/f'), 'f')
  symlinkSync(path.join(directory, 'd/e'), path.join(directory, 'link'))
  const server = await FaultServer.start({ directory })

  const answers = []
  for (const key of ['a', 'd', 'link']) {
    answers.push(await server.send('PUT', `/files/${key}`, [], 'abc'))
  }

  expect(answers.map(({ status }) => status)).toEqual([201, 409, 409])
  expect(await server.state('/files/a')).toBe('C(3)')
  expect(await server.state('/files/d/f')).toBe('C(1)')
})
