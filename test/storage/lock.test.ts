import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { UploadError } from '../../src/errors.ts'
import {
  memoryLocker,
  type AcquireOptions,
  type Lock,
  type Locker,
} from '../../src/storage/lock.ts'

const USUAL: AcquireOptions = { wait: 2000, stall: 2000 }
const PATIENT: AcquireOptions = { wait: 2 ** 31 - 1, stall: 2 ** 31 - 1 }

describe('a lock', () => {
  let locker: Locker

  beforeEach(() => {
    vi.useFakeTimers()
    locker = memoryLocker()
  })

  afterEach(() => {
    vi.useRealTimers()
  })

  it('is acquired at once when it is free', async () => {
    const lock = await locker.acquire('a', { wait: 0, stall: 0 })

    expect(lock.isRevoked).toBe(false)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('of one key does not block another key', async () => {
    await locker.acquire('a', USUAL)

    await expect(locker.acquire('b', USUAL)).resolves.toBeDefined()
  })

  it('is handed over in the order of arrival', async () => {
    const order: number[] = []
    const first = await locker.acquire('a', PATIENT)
    const waiting = [1, 2, 3].map(async (number) => {
      const lock = await locker.acquire('a', PATIENT)
      order.push(number)
      lock.release()
    })

    first.release()

    await Promise.all(waiting)
    expect(order).toEqual([1, 2, 3])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is not given to a newcomer before it has been released', async () => {
    const first = await locker.acquire('a', USUAL)
    const second = watch(locker.acquire('a', USUAL))

    await vi.advanceTimersByTimeAsync(1000)
    expect(second.lock).toBeNull()
    first.release()

    await vi.advanceTimersByTimeAsync(0)
    expect(second.lock).not.toBeNull()
  })

  it('is refused after the wait with 409 and Retry-After', async () => {
    await locker.acquire('a', USUAL)
    const second = watch(locker.acquire('a', USUAL))

    await vi.advanceTimersByTimeAsync(1999)
    expect(second.error).toBeNull()
    await vi.advanceTimersByTimeAsync(1)

    expect(second.error).toBeInstanceOf(UploadError)
    expect(second.error).toMatchObject({
      code: 'ERR_LOCKED',
      status: 409,
      headers: { 'Retry-After': '1' },
    })
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is refused at once without a wait', async () => {
    await locker.acquire('a', USUAL)

    await expect(locker.acquire('a', { wait: 0, stall: 2000 })).rejects.toMatchObject({
      code: 'ERR_LOCKED',
    })
  })

  it('is not handed to a newcomer that has given up', async () => {
    const first = await locker.acquire('a', USUAL)
    const second = watch(locker.acquire('a', { wait: 10, stall: 2000 }))
    const third = watch(locker.acquire('a', USUAL))
    await vi.advanceTimersByTimeAsync(10)

    first.release()

    await vi.advanceTimersByTimeAsync(0)
    expect(second.lock).toBeNull()
    expect(third.lock).not.toBeNull()
  })

  it('can be released twice, which does not affect the next holder', async () => {
    const first = await locker.acquire('a', USUAL)
    const second = watch(locker.acquire('a', USUAL))
    const third = watch(locker.acquire('a', USUAL))

    first.release()
    first.release()

    await vi.advanceTimersByTimeAsync(0)
    expect(second.lock).not.toBeNull()
    expect(third.lock).toBeNull()
  })

  it('of an earlier holder does not affect a later one', async () => {
    const first = await locker.acquire('a', USUAL)
    first.release()
    const second = await locker.acquire('a', USUAL)

    first.idle()
    first.release()
    const third = watch(locker.acquire('a', { wait: 5000, stall: 0 }))

    await vi.advanceTimersByTimeAsync(0)
    expect([first.isRevoked, second.isRevoked]).toEqual([false, true])
    expect(third.lock).toBeNull()
  })

  it('can be acquired again after all have released', async () => {
    for (let round = 0; round < 3; round++) {
      const lock = await locker.acquire('a', { wait: 0, stall: 2000 })
      lock.release()
    }

    await expect(locker.acquire('a', { wait: 0, stall: 2000 })).resolves.toBeDefined()
  })

  it('wakes a waiting newcomer only a few times, without polling', async () => {
    const first = await locker.acquire('a', USUAL)
    const second = watch(locker.acquire('a', { wait: 60_000, stall: 20_000 }))
    let callbacks = 0

    first.idle()
    while (vi.getTimerCount() > 0) {
      await vi.advanceTimersToNextTimerAsync()
      callbacks += 1
    }

    expect(second.error).toMatchObject({ code: 'ERR_LOCKED' })
    expect(callbacks).toBeLessThanOrEqual(4)
  })

  it('is handed through a queue of 1,000', async () => {
    let given = 0
    const first = await locker.acquire('a', PATIENT)
    const waiting = Array.from({ length: 1000 }, async () => {
      const lock = await locker.acquire('a', PATIENT)
      given += 1
      lock.release()
    })

    first.release()

    await Promise.all(waiting)
    expect(given).toBe(1000)
    expect(vi.getTimerCount()).toBe(0)
  })

  describe('of a holder that waits for its client', () => {
    it('is revoked once it has waited for the stall time', async () => {
      const first = await locker.acquire('a', USUAL)
      first.idle()
      await vi.advanceTimersByTimeAsync(500)
      const second = watch(locker.acquire('a', USUAL))

      await vi.advanceTimersByTimeAsync(1499)
      expect(first.isRevoked).toBe(false)
      await vi.advanceTimersByTimeAsync(1)

      expect(first.isRevoked).toBe(true)
      expect(second.lock).toBeNull()
      first.release()
      await vi.advanceTimersByTimeAsync(0)
      expect(second.lock).not.toBeNull()
    })

    it('is revoked at once when it has waited that long already', async () => {
      const first = await locker.acquire('a', USUAL)
      first.idle()
      await vi.advanceTimersByTimeAsync(2000)

      const second = watch(locker.acquire('a', USUAL))

      expect(first.isRevoked).toBe(true)
      first.release()
      await vi.advanceTimersByTimeAsync(0)
      expect(second.lock).not.toBeNull()
    })

    it('is not revoked while no newcomer waits', async () => {
      const first = await locker.acquire('a', USUAL)

      first.idle()
      await vi.advanceTimersByTimeAsync(60_000)

      expect(first.isRevoked).toBe(false)
    })

    it('is not revoked when its client delivers in time', async () => {
      const first = await locker.acquire('a', USUAL)
      const second = watch(locker.acquire('a', { wait: 5000, stall: 2000 }))

      for (let round = 0; round < 4; round++) {
        first.idle()
        await vi.advanceTimersByTimeAsync(1200)
        first.busy()
      }
      await vi.advanceTimersByTimeAsync(200)

      expect(first.isRevoked).toBe(false)
      expect(second.error).toMatchObject({ code: 'ERR_LOCKED' })
    })

    it('leaves the holder the time of a wait to store what arrived', async () => {
      const first = await locker.acquire('a', USUAL)
      first.idle()
      await vi.advanceTimersByTimeAsync(100)
      const second = watch(locker.acquire('a', USUAL))

      await vi.advanceTimersByTimeAsync(1900)
      expect(first.isRevoked).toBe(true)
      await vi.advanceTimersByTimeAsync(1999)
      expect(second.error).toBeNull()
      first.release()

      await vi.advanceTimersByTimeAsync(0)
      expect(second.lock).not.toBeNull()
    })

    it('is refused to the newcomer when the holder does not release', async () => {
      const first = await locker.acquire('a', USUAL)
      first.idle()
      await vi.advanceTimersByTimeAsync(2000)
      const second = watch(locker.acquire('a', USUAL))

      await vi.advanceTimersByTimeAsync(2000)

      expect(second.error).toMatchObject({ code: 'ERR_LOCKED' })
      expect(vi.getTimerCount()).toBe(0)
    })
  })

  describe('of a holder that does not wait for its client', () => {
    it('is not revoked however long that takes', async () => {
      const first = await locker.acquire('a', USUAL)
      first.idle()
      first.busy()
      const second = watch(locker.acquire('a', { wait: 60_000, stall: 2000 }))

      await vi.advanceTimersByTimeAsync(60_000)

      expect(first.isRevoked).toBe(false)
      expect(second.error).toMatchObject({ code: 'ERR_LOCKED' })
    })

    it('is revoked at once by a newcomer with a stall time of 0', async () => {
      const first = await locker.acquire('a', USUAL)
      first.busy()

      const second = watch(locker.acquire('a', { wait: 2000, stall: 0 }))

      expect(first.isRevoked).toBe(true)
      expect(second.lock).toBeNull()
      first.release()
      await vi.advanceTimersByTimeAsync(0)
      expect(second.lock).not.toBeNull()
    })
  })

  it('is revoked anew for a newcomer with a stall time of 0 when the next in line has got it', async () => {
    const first = await locker.acquire('a', USUAL)
    const second = watch(locker.acquire('a', USUAL))
    const third = watch(locker.acquire('a', { wait: 2000, stall: 0 }))

    first.release()
    await vi.advanceTimersByTimeAsync(0)

    expect(second.lock?.isRevoked).toBe(true)
    second.lock?.release()
    await vi.advanceTimersByTimeAsync(0)
    expect(third.lock).not.toBeNull()
  })
})

interface Watched {
  lock: Lock | null
  error: unknown
}

function watch(acquired: Promise<Lock>): Watched {
  const watched: Watched = { lock: null, error: null }
  acquired.then(
    (lock) => {
      watched.lock = lock
    },
    (error: unknown) => {
      watched.error = error
    },
  )
  return watched
}
