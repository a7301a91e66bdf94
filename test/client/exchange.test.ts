import { expect, test } from 'vitest'

import { connect, exchange } from '../../src/client/exchange.ts'
import { WANT_DIGEST } from '../../src/client/resource.ts'
import { createSha256 } from '../../src/client/sha256.ts'
import type { Platform, TransportRequest } from '../../src/client/transport/transport.ts'
import { timing } from '../support/client/setup.ts'

test('ignores a failed request, and waits for nothing', async () => {
  let timers = 0
  const clock = {
    now: () => 0,
    after: () => {
      timers += 1
      return () => {
        timers -= 1
      }
    },
  }
  let late: TransportRequest['onMove'] = () => undefined
  const platform: Platform = {
    transport: ({ onMove }) => {
      late = onMove
      return Promise.reject(new Error('reset'))
    },
    createHash: createSha256,
  }
  const sent: number[] = []
  const message = {
    method: 'PATCH',
    onProgress: (count: number) => sent.push(count),
  }

  const connection = connect('http://127.0.0.1/a', timing({ clock }), platform)
  await expect(exchange(connection, message)).rejects.toMatchObject({ code: 'ERR_NETWORK' })
  late(3)

  expect(timers).toBe(0)
  expect(sent).toEqual([])
})

test.each([
  ['`stallTimeout` limits a request without content', {}, [10]],
  ['`answerTimeout: 0` sets no limit if it asks for a digest', WANT_DIGEST, []],
])('%s', async (_title, headers, expected) => {
  const limits: number[] = []
  const clock = {
    now: () => 0,
    after: (delay: number) => {
      limits.push(delay)
      return () => undefined
    },
  }
  const platform: Platform = {
    transport: () => Promise.resolve(new Response()),
    createHash: createSha256,
  }
  const options = { ...timing({ clock }), stallTimeout: 10, answerTimeout: 0 }

  await exchange(connect('http://127.0.0.1/a', options, platform), { method: 'HEAD', headers })

  expect(limits).toEqual(expected)
})
