/** Servers that are killed while they work; `npm run torture` does it for longer. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'

import { expect, it } from 'vitest'

import { FaultServer, newDirectory } from './server.ts'
import { torture } from './torture-run.ts'

/** Kills that hit each kind of work in the middle. */
const KILLS = 4

it.each([
  ['the only server', 1],
  ['one of two servers on the same files', 2],
] as const)(
  `keeps what was acknowledged and leaves nothing half done when %s is killed in the middle of anything`,
  { timeout: 300_000 },
  async (_name, servers) => {
    const seed = String(Date.now())

    const score = await torture({ directory: newDirectory(), kills: KILLS, servers, seed })

    expect(score.violations, `with the seed ${seed}`).toEqual([])
    for (const kind of ['segment', 'put', 'patch', 'multipart', 'expire'] as const) {
      expect(score.row(kind).bytes, `bytes compared after kills of ${kind}`).toBeGreaterThan(0)
    }
  },
)

it('directories that a killed DELETE has left are no obstacle', async () => {
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
