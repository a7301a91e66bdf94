/** Hooks and storage calls that never return: they hold their lock, and block nothing else. */
import { describe, expect, it } from 'vitest'

import { field } from '../support/wire/client.ts'
import {
  ATOMIC_ENDS,
  DATA,
  ENDS,
  TARGET,
  begin,
  send,
  stands,
  start,
} from '../support/faults/completion.ts'
import { newDirectory } from '../support/faults/server.ts'

describe.each(['onComplete', 'openWriter', 'write', 'commit', 'committed'] as const)(
  'a call that never returns: %s',
  (moment) => {
    it('keeps its lock, and blocks no other resource', async () => {
      const directory = newDirectory()
      const first = await start(directory)
      await first.patch(TARGET, 'bytes 0-3/10', 'abcd')
      await first.send('PUT', '/files/other', [], 'other')
      await first.kill()
      const server = await start(directory, [moment], { lockTimeout: 200 })
      await begin(server, ENDS[0]!)
      await stands(server, moment)

      const newcomers: (string | number | null)[][] = []
      for (const step of [...ENDS, ...ATOMIC_ENDS, ['', 'DELETE', [], ''] as const]) {
        const answer = await send(server, step)
        newcomers.push([answer.status, field(answer, 'retry-after')])
      }
      const head = await server.send('HEAD', TARGET)
      const get = await server.send('GET', TARGET)
      const other = await server.send('GET', '/files/other')

      expect(newcomers).toEqual(newcomers.map(() => [409, '1']))
      expect(head.status).toBe(moment === 'committed' ? 200 : 299)
      expect(get.status).toBe(head.status)
      expect(get.body.toString()).toBe(DATA.slice(0, get.body.length))
      expect(field(head, 'content-length')).toBe(String(get.body.length))
      expect([other.status, other.body.toString()]).toEqual([200, 'other'])
    })
  },
)
