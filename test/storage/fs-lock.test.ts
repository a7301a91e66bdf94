import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { lutimesSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { fsLocker } from '../../src/storage/fs.ts'

const CHILD = fileURLToPath(new URL('fs-lock-child.ts', import.meta.url))
const USUAL = { wait: 2000, stall: 2000 }

let directory = ''
let children: ChildProcess[] = []

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'fs-lock-'))
})

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  children = []
  await rm(directory, { recursive: true })
})

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

  it('tell a newcomer to come again when the wait is over', async () => {
    const first = await fsLocker({ directory }).acquire('a', USUAL)

    await expect(fsLocker({ directory }).acquire('a', { wait: 0, stall: 0 })).rejects.toMatchObject(
      {
        code: 'ERR_LOCKED',
        headers: { 'Retry-After': '1' },
      },
    )

    first.release()
  })

  it('leave nothing behind', async () => {
    const lock = await fsLocker({ directory }).acquire('a', { wait: 0, stall: 0 })
    lock.release()

    expect(await readdir(locks())).toEqual([])
  })
})

describe('a lock', () => {
  it('of a process that was killed is free at once', async () => {
    const child = start('hold')
    await once(child, 'message')
    await expect(fsLocker({ directory }).acquire('a', { wait: 0, stall: 0 })).rejects.toBeDefined()

    child.kill('SIGKILL')
    await once(child, 'exit')
    const lock = await fsLocker({ directory }).acquire('a', { wait: 0, stall: 0 })

    lock.release()
  })

  it('of another host is free when it has not been renewed for 5 s', async () => {
    const name = await nameOfLock()
    await symlink('elsewhere 1 x', path.join(locks(), name))
    const locker = fsLocker({ directory })
    await expect(locker.acquire('a', { wait: 0, stall: 0 })).rejects.toBeDefined()

    const past = Date.now() / 1000 - 6
    lutimesSync(path.join(locks(), name), past, past)
    const lock = await locker.acquire('a', { wait: 0, stall: 0 })

    lock.release()
  })

  it('is renewed while it is held', async () => {
    const name = await nameOfLock()
    const lock = await fsLocker({ directory }).acquire('a', USUAL)
    const past = Date.now() / 1000 - 6
    lutimesSync(path.join(locks(), name), past, past)

    await new Promise((done) => setTimeout(done, 1500))

    await expect(fsLocker({ directory }).acquire('a', { wait: 0, stall: 0 })).rejects.toBeDefined()
    lock.release()
  })

  it('is recovered although a newcomer died while it recovered it', async () => {
    const name = await nameOfLock()
    await symlink(`${hostname()} 1 x`, path.join(locks(), name))
    const past = Date.now() / 1000 - 6
    lutimesSync(path.join(locks(), name), past, past)
    await mkdir(path.join(locks(), `${name}.recovery`))
    await utimes(path.join(locks(), `${name}.recovery`), past, past)

    const lock = await fsLocker({ directory }).acquire('a', USUAL)

    lock.release()
    expect(await readdir(locks())).toEqual([])
  })
})

describe('four processes', () => {
  it('never hold a lock at the same time, though one is killed with it', async () => {
    const counter = path.join(directory, 'counter')
    await writeFile(counter, '0')
    const holder = start('hold')
    await once(holder, 'message')
    const workers = [1, 2, 3, 4].map(() => start('count'))
    holder.kill('SIGKILL')

    await Promise.all(workers.map((worker) => once(worker, 'exit')))

    expect(await readFile(counter, 'utf8')).toBe('80')
  })
})

function locks(): string {
  return path.join(directory, '.partial-upload', 'locks')
}

/** Name of the link for the key `a`. */
async function nameOfLock(): Promise<string> {
  const lock = await fsLocker({ directory }).acquire('a', USUAL)
  const [name = ''] = await readdir(locks())
  lock.release()
  return name
}

function start(task: 'hold' | 'count'): ChildProcess {
  const child = fork(CHILD, [directory, task], {
    execArgv: ['--conditions=@partial-upload/source', '--import', 'tsx'],
  })
  children.push(child)
  return child
}
