/** The lock around every change, and when a method counts its client as idle. */
import { describe, expect, it } from 'vitest'

import { UploadError } from '../../../src/errors.ts'
import { Events } from '../../../src/protocol/events.ts'
import { HashingService } from '../../../src/protocol/hashing.ts'
import type { Lock, Locker } from '../../../src/storage/lock.ts'
import { withLock, type MethodContext } from '../../../src/protocol/methods/context.ts'
import { resolveSettings } from '../../../src/settings.ts'
import { memoryStorage } from '../../../src/storage/memory.ts'
import { handlerFor, patch, request } from '../../support/plain.ts'
import { WatchedStorage } from '../../support/watched-storage.ts'

describe('the only writer', () => {
  it('has the lock of the key, with the times of the settings, until it is done', async () => {
    const { locker, log } = loggingLocker()

    const result = await withLock(patch('bytes */1'), context(locker), 7, () => {
      log.push('work')
      return Promise.resolve('done')
    })

    expect(result).toBe('done')
    expect(log).toEqual(['acquire a 2000 7', 'work', 'release'])
  })

  it('releases the lock when it fails', async () => {
    const { locker, log } = loggingLocker()
    const failure = new Error('no')
    const fail = async (): Promise<never> => {
      throw failure
    }

    await expect(withLock(patch('bytes */1'), context(locker), 0, fail)).rejects.toBe(failure)

    expect(log).toEqual(['acquire a 2000 0', 'release'])
  })

  it('does nothing without the lock', async () => {
    const storage = new WatchedStorage()
    const refusal = new UploadError('ERR_LOCKED', { detail: 'busy' })
    const locker: Locker = {
      acquire: async () => {
        throw refusal
      },
    }

    const answer = await handlerFor(storage, { locker })(patch('bytes 0-3/10', 'abcd'))

    expect(answer.status).toBe(409)
    expect(storage.steps).toEqual([])
  })

  it('stops its client when the lock is revoked', async () => {
    const { locker, revoke } = loggingLocker()
    const reasons: Error[] = []
    const stoppable = { ...patch('bytes */1'), stop: (reason: Error) => void reasons.push(reason) }

    await withLock(stoppable, context(locker), 0, async () => revoke())

    expect(reasons).toMatchObject([{ code: 'ERR_INTERRUPTED', status: 409 }])
  })
})

describe('the wait for the client', () => {
  it('counts as idle', async () => {
    const { locker, log } = loggingLocker()
    const waiting = patch('bytes */1')
    const waits: (() => void)[] = []
    const listening = { ...waiting, onWait: (...both: (() => void)[]) => void waits.push(...both) }

    await withLock(listening, context(locker), 0, async () => {
      for (const listener of waits) listener()
    })

    expect(log).toEqual(['acquire a 2000 0', 'idle', 'busy', 'release'])
  })

  it('does not include the time of the app and the storage', async () => {
    const { locker, log } = loggingLocker()
    const handle = handlerFor(memoryStorage(), { locker })
    const body = ['Content-Range: bytes 0-3/4\r\n\r\nab', 'cd']
    const onComplete = async () => {
      log.push('onComplete')
      return null
    }

    const headers = { 'Content-Type': 'message/byteranges', 'Transfer-Encoding': 'chunked' }
    await handle(request({ method: 'PATCH', headers, body, hooks: { onComplete } }))

    expect(log).toEqual([
      'acquire a 2000 2000',
      ...['idle', 'busy', 'idle', 'busy'],
      ...['onComplete', 'release'],
    ])
  })
})

function context(locker: Locker): MethodContext {
  const storage = memoryStorage()
  const hashing = new HashingService(1)
  const settings = resolveSettings({ storage })
  const hooks = { onPublished: null, onRemoved: null }
  const events = new Events({ storage, hooks, withLock: async () => null })
  return { isPrivate: false, storage, locker, settings, hashing, events }
}

function loggingLock() {
  const log: string[] = []
  const listeners: (() => void)[] = []
  const lock: Lock = {
    isRevoked: false,
    onRevoke: (listener) => void listeners.push(listener),
    idle: () => void log.push('idle'),
    busy: () => void log.push('busy'),
    release: () => void log.push('release'),
  }
  const revoke = (): void => {
    for (const listener of listeners) listener()
  }
  return { lock, log, revoke }
}

function loggingLocker() {
  const { lock, log, revoke } = loggingLock()
  const locker: Locker = {
    acquire: (key, { wait, stall }) => {
      log.push(`acquire ${key} ${wait} ${stall}`)
      return Promise.resolve(lock)
    },
  }
  return { locker, log, revoke }
}
