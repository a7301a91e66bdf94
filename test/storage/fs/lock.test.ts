import { readFileSync, readdirSync } from 'node:fs'
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { chainOf, takeFree, takeOver } from '../../../src/storage/fs/lock/chain.ts'
import type { ResourceState } from '../../../src/storage/adapter.ts'
import { BEGUN as EMPTY } from '../../../src/storage/contract/check.ts'
import { fsLocker, fsStorage } from '../../../src/storage/fs.ts'
import type { Lock } from '../../../src/storage/lock.ts'

const CHILD = fileURLToPath(new URL('../../support/storage/fs-lock-child.ts', import.meta.url))
const ARGUMENTS = ['--conditions=@partial-upload/source', '--import', 'tsx']
const USUAL = { wait: 2000, stall: 2000 }
/** Neither waits nor takes over from a holder. */
const AT_ONCE = { wait: 0, stall: 2000 }

let directory = ''
let children: ChildProcess[] = []

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'fs-lock-'))
})

afterEach(async () => {
  vi.useRealTimers()
  for (const child of children) child.kill('SIGKILL')
  children = []
  await rm(directory, { recursive: true })
})

/** Tries to get the lock of the key `a` now, as another process would. */
async function tryNow(): Promise<Lock | null> {
  return fsLocker({ directory })
    .acquire('a', AT_ONCE)
    .catch(() => null)
}

describe('two lockers over one directory', () => {
  it('give a lock to one at a time', async () => {
    const [one, other] = [fsLocker({ directory }), fsLocker({ directory })]
    const first = await one.acquire('a', USUAL)
    const order: string[] = []

    const waiting = other.acquire('a', USUAL).then((lock) => {
      order.push('second')
      lock.release()
    })
    await other.acquire('b', USUAL).then((lock) => lock.release())
    order.push('released')
    first.release()
    await waiting

    expect(order).toEqual(['released', 'second'])
  })

  it('refuse a newcomer with Retry-After when the wait is over', async () => {
    const first = await fsLocker({ directory }).acquire('a', USUAL)

    await expect(fsLocker({ directory }).acquire('a', AT_ONCE)).rejects.toMatchObject({
      code: 'ERR_LOCKED',
      headers: { 'Retry-After': '1' },
    })

    first.release()
  })

  it('leave nothing behind', async () => {
    const [one, other] = [fsLocker({ directory }), fsLocker({ directory })]
    const first = await one.acquire('a', USUAL)
    const waiting = other.acquire('a', { wait: 500, stall: 2000 })
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_LOCKED' })
    first.release()

    expect(await readdir(locks())).toEqual([])
    expect(await readdir(path.join(directory, '.partial-upload', 'calls'))).toEqual([])
  })

  it('let a newcomer take over from a holder that waits for its client', async () => {
    const first = await fsLocker({ directory }).acquire('a', USUAL)
    first.onRevoke(() => first.release())
    first.idle()

    const second = await fsLocker({ directory }).acquire('a', { wait: 2000, stall: 100 })

    expect(first.isRevoked).toBe(true)
    second.release()
  })

  it.each([100, 0])('let a newcomer take over whose times are both %i ms', async (time) => {
    const first = await fsLocker({ directory }).acquire('a', USUAL)
    first.onRevoke(() => first.release())
    first.idle()

    const second = await fsLocker({ directory }).acquire('a', { wait: time, stall: time })

    expect(first.isRevoked).toBe(true)
    second.release()
  })

  it('let a newcomer with a stall time of 0 take over from any holder', async () => {
    const first = await fsLocker({ directory }).acquire('a', USUAL)
    first.onRevoke(() => first.release())
    first.busy()

    const second = await fsLocker({ directory }).acquire('a', { wait: 2000, stall: 0 })

    expect(first.isRevoked).toBe(true)
    second.release()
  })

  it('do not revoke a holder whose client sends', async () => {
    const first = await fsLocker({ directory }).acquire('a', USUAL)
    first.idle()
    const delivery = setInterval(() => {
      first.busy()
      first.idle()
    }, 20)

    const second = fsLocker({ directory }).acquire('a', { wait: 1000, stall: 400 })

    await expect(second).rejects.toMatchObject({ code: 'ERR_LOCKED' })
    clearInterval(delivery)
    expect([first.isRevoked, first.isLost]).toEqual([false, false])
    first.release()
  })
})

describe('a lock', () => {
  it('of a process that was killed is free at once', async () => {
    const child = start('hold')
    await once(child, 'message')
    expect(await tryNow()).toBeNull()

    child.kill('SIGKILL')
    await once(child, 'exit')

    const lock = await tryNow()
    expect(lock).not.toBeNull()
    lock?.release()
    expect(await readdir(locks())).toEqual([])
  })

  it.skipIf(process.platform !== 'linux')(
    'of a process that was killed is free although it is still a zombie',
    async () => {
      const script = `${process.execPath} ${ARGUMENTS.join(' ')} "$0" "$1" hold & echo $!; exec sleep 60`
      const parent = spawn('sh', ['-c', script, CHILD, directory], {
        stdio: ['ignore', 'pipe', 'inherit'],
        cwd: path.dirname(CHILD),
      })
      children.push(parent)
      const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string]
      await expect.poll(async () => readdir(locks())).toHaveLength(1)
      expect(await tryNow()).toBeNull()

      process.kill(Number(line), 'SIGKILL')
      await expect.poll(() => readFile(`/proc/${line}/stat`, 'latin1')).toMatch(/\) Z /)

      await expect.poll(async () => tryNow()).not.toBeNull()
    },
  )

  it('of a process whose number another process has taken is free at once', async () => {
    const lock = await fsLocker({ directory }).acquire('a', USUAL)
    const [link] = chainOf(await pathOfLock())
    lock.release()
    const [place, pid, , id] = (link?.owner ?? '').split(' ')

    await symlink(`${place} ${pid} 1 ${id}`, await pathOfLock())

    expect(await tryNow()).not.toBeNull()
  })

  it('of a halted process is kept', async () => {
    const child = start('hold')
    await once(child, 'message')
    child.kill('SIGSTOP')
    expect(await tryNow()).toBeNull()
    const locker = fsLocker({ directory })

    vi.useFakeTimers({ toFake: ['performance'] })
    for (let seconds = 0; seconds < 60; seconds += 10) {
      vi.advanceTimersByTime(10_000)
      await expect(locker.acquire('a', AT_ONCE)).rejects.toMatchObject({ code: 'ERR_LOCKED' })
    }
  })

  describe('of an owner that can not be seen', () => {
    const OTHER = 'elsewhere 1 1 x'

    it('is free after 5 s without a sign of life', async () => {
      await symlink(OTHER, await pathOfLock())
      const locker = fsLocker({ directory })
      vi.useFakeTimers({ toFake: ['performance'] })
      await expect(locker.acquire('a', AT_ONCE)).rejects.toBeDefined()
      vi.advanceTimersByTime(5000)
      await expect(locker.acquire('a', AT_ONCE)).rejects.toBeDefined()

      vi.advanceTimersByTime(1)

      const lock = await locker.acquire('a', AT_ONCE)
      lock.release()
      expect(await readdir(locks())).toEqual([])
    })

    it('is not free while the owner renews it', async () => {
      const holder = await fsLocker({ directory }).acquire('a', USUAL)
      await disguise(await pathOfLock())
      const locker = fsLocker({ directory })
      vi.useFakeTimers({ toFake: ['performance'] })
      await expect(locker.acquire('a', AT_ONCE)).rejects.toBeDefined()
      const { mtimeMs } = await lstat(await pathOfLock())
      vi.advanceTimersByTime(4000)
      await expect
        .poll(async () => (await lstat(await pathOfLock())).mtimeMs)
        .toBeGreaterThan(mtimeMs)
      vi.advanceTimersByTime(4000)

      await expect(locker.acquire('a', AT_ONCE)).rejects.toMatchObject({ code: 'ERR_LOCKED' })
      holder.release()
    })

    it('is reported as lost to an owner that wakes up', async () => {
      const holder = await fsLocker({ directory }).acquire('a', USUAL)
      const lock = await pathOfLock()
      const next = await takeOver(lock, chainOf(lock))

      expect(holder.isLost).toBe(true)
      holder.release()
      expect(next?.isLost).toBe(false)
      expect(await tryNow()).toBeNull()
      next?.release()
      expect(await readdir(locks())).toEqual([])
    })
  })

  it('is lost when another program removes its file', async () => {
    const holder = await fsLocker({ directory }).acquire('a', USUAL)
    await rm(locks(), { recursive: true })
    const next = await tryNow()

    expect([holder.isLost, next?.isLost]).toEqual([true, false])
    holder.release()
    expect(next?.isLost).toBe(false)
    next?.release()
  })

  it('creates the directory with usual permissions, and a private staging directory', async () => {
    const folder = path.join(directory, 'new')
    const lock = await fsLocker({ directory: folder }).acquire('a', USUAL)
    lock.release()

    await mkdir(path.join(directory, 'plain'))
    const modes = ['plain', 'new', 'new/.partial-upload', 'new/.partial-upload/locks'].map(
      async (name) => (await stat(path.join(directory, name))).mode & 0o777,
    )
    const [usual, ...made] = await Promise.all(modes)
    expect(made).toEqual([usual, 0o700, 0o700])
  })

  it('is refused while the directory is missing, which is not created again', async () => {
    const folder = path.join(directory, 'uploads')
    const locker = fsLocker({ directory: folder })
    const lock = await locker.acquire('a', USUAL)
    await rm(folder, { recursive: true })
    lock.release()

    await expect(locker.acquire('a', USUAL)).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(stat(folder)).rejects.toMatchObject({ code: 'ENOENT' })

    await mkdir(folder)
    const again = await locker.acquire('a', USUAL)
    again.release()
  })
})

describe('the first lock that a process takes', () => {
  it('releases the locks of dead owners, and removes orphaned links', async () => {
    const child = start('hold')
    await once(child, 'message')
    child.kill('SIGKILL')
    await once(child, 'exit')
    const [name = ''] = await readdir(locks())
    await symlink('elsewhere 1 1 z', path.join(locks(), `${name}.nobody`))
    await symlink('elsewhere 1 1 y', path.join(locks(), 'other'))
    await symlink('elsewhere 1 1 x', path.join(locks(), 'other.y'))

    const lock = await fsLocker({ directory }).acquire('b', USUAL)
    lock.release()

    expect((await readdir(locks())).toSorted()).toEqual(['other', 'other.y'])
  })
})

describe('a chain of links', () => {
  it('lets exactly one of several newcomers succeed a dead owner', async () => {
    const lock = path.join(directory, 'lock')
    await symlink('elsewhere 1 1 x', lock)
    const chain = chainOf(lock)

    const links = await Promise.all(Array.from({ length: 20 }, () => takeOver(lock, chain)))

    expect(links.filter((link) => link !== null)).toHaveLength(1)
  })

  it('does not let a newcomer succeed an owner that has released', async () => {
    const lock = path.join(directory, 'lock')
    const first = await takeFree(lock)
    const chain = chainOf(lock)
    first?.release()
    const second = await takeFree(lock)

    expect(await takeOver(lock, chain)).toBeNull()

    expect(second?.isLost).toBe(false)
    second?.release()
    expect(await readdir(directory)).toEqual([])
  })

  it('continues over several dead owners, and is removed completely', async () => {
    const lock = path.join(directory, 'lock')
    await symlink('elsewhere 1 1 x', lock)
    await takeOver(lock, chainOf(lock))
    const third = await takeOver(lock, chainOf(lock))

    expect(chainOf(lock)).toHaveLength(3)
    third?.release()
    expect(await readdir(directory)).toEqual([])
  })
})

describe('a writer that has lost its lock', () => {
  const BEGUN: ResourceState = { ...EMPTY, completeLength: 8 }
  const DONE = { ...BEGUN, complete: true, everComplete: true }

  it.each(['persist', 'atomic'] as const)(
    'changes nothing, whenever it notices: %s',
    async (transaction) => {
      const outcomes = new Set<string>()
      for (let looks = 0; looks < 8; looks += 1) {
        const key = `${transaction}-${looks}`
        const storage = fsStorage({ directory })
        const first = await storage.openWriter(key, {
          transaction: 'persist',
          replace: false,
          initial: BEGUN,
        })
        await first.write(0, [Buffer.from('abcd')])
        await first.commit(BEGUN)

        let left = looks
        let found: unknown = null
        const writer = await storage.openWriter(key, {
          transaction,
          replace: false,
          initial: BEGUN,
          isLost: () => {
            left -= 1
            if (left < 0) found ??= contentOf(directory)
            return left < 0
          },
        })
        const work = async (): Promise<string> => {
          await writer.write(4, [Buffer.from('efgh')])
          await writer.commit(DONE)
          return 'done'
        }
        const outcome = await work().catch(() => 'lost')
        await writer.keep()

        outcomes.add(outcome)
        if (outcome === 'lost') expect(contentOf(directory)).toEqual(found)
        else expect((await storage.head(key))?.complete).toBe(true)
      }
      expect([...outcomes]).toEqual(['lost', 'done'])
    },
  )

  it.each([
    ['an upload', BEGUN],
    ['a file', DONE],
  ] as const)('removes no part of %s, whenever it notices', async (_, state) => {
    const outcomes = new Set<boolean | 'lost'>()
    for (let looks = 0; looks < 8; looks += 1) {
      const key = `remove-${looks}`
      const storage = fsStorage({ directory })
      const options = { transaction: 'persist', replace: false, initial: BEGUN } as const
      const writer = await storage.openWriter(key, options)
      await writer.write(0, [Buffer.from('abcdefgh')])
      await writer.commit(state)

      let left = looks
      let found: unknown = null
      const isLost = (): boolean => {
        left -= 1
        if (left < 0) found ??= contentOf(directory)
        return left < 0
      }
      const outcome = await storage.remove(key, { isLost }).catch(() => 'lost' as const)

      outcomes.add(outcome)
      if (outcome === 'lost') expect(contentOf(directory)).toEqual(found)
      else expect(await storage.head(key)).toBeNull()
    }
    expect([...outcomes]).toEqual(['lost', true])
  })
})

describe('four processes', () => {
  it('never hold a lock at the same time, even if its holder is killed', async () => {
    const counter = path.join(directory, 'counter')
    await writeFile(counter, '0')
    const holder = start('hold')
    await once(holder, 'message')
    const workers = [1, 2, 3, 4].map(() => start('count'))
    holder.kill('SIGKILL')

    await Promise.all(workers.map((worker) => once(worker, 'exit')))

    expect(await readFile(counter, 'utf8')).toBe('80')
    expect(await readdir(locks())).toEqual([])
  })
})

function locks(): string {
  return path.join(directory, '.partial-upload', 'locks')
}

/** The file of the lock for the key `a`. */
async function pathOfLock(): Promise<string> {
  const name = 'ypeBEsobvcr6wjGzmiPcTaeG7_gUfE5yuYB3ha_uSLs'
  await mkdir(locks(), { recursive: true })
  return path.join(locks(), name)
}

/** Returns every file below a folder with its content. */
function contentOf(folder: string): readonly (readonly [name: string, bytes: string])[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => path.join(parentPath, name))
    .map((file) => [file, readFileSync(file, 'latin1')])
}

/** Lets an owner appear to be in a place that can't be seen from here. */
async function disguise(lock: string): Promise<void> {
  const [link] = chainOf(lock)
  await rm(lock)
  await symlink(`elsewhere${link?.owner ?? ''}`, lock)
}

function start(task: 'hold' | 'count'): ChildProcess {
  const child = fork(CHILD, [directory, task], { execArgv: ARGUMENTS })
  children.push(child)
  return child
}
