import { expect, test, vi } from 'vitest'
import { memoryStorage } from 'partial-upload/storage/memory'

import { expireDaily } from '../../examples/expire.ts'

const DAY = 24 * 60 * 60 * 1000

test('removes an upload in its second week, and not before', async () => {
  vi.useFakeTimers()
  const storage = memoryStorage()
  const initial = {
    complete: false,
    everComplete: false,
    completeLength: 10,
    contentType: null,
    reprDigest: null,
    owner: null,
  }
  const writer = await storage.openWriter('a', { transaction: 'persist', replace: false, initial })
  await writer.write(0, [Buffer.from('abc')])
  await writer.keep()

  const timer = expireDaily(storage)
  await vi.advanceTimersByTimeAsync(7 * DAY)
  expect(await storage.head('a')).not.toBeNull()
  await vi.advanceTimersByTimeAsync(DAY)
  expect(await storage.head('a')).toBeNull()

  clearInterval(timer)
  vi.useRealTimers()
})
