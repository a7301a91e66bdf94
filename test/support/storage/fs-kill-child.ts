/**
 * Changes resources until it is killed. Each step is announced before it begins and again when it
 * is done, so that the test that kills the process knows the stored bytes: a `Step`, then `"done"`.
 */

import { text } from 'node:stream/consumers'

import { withFreeLock } from '../../../src/server/free-lock.ts'
import { BEGUN } from '../../../src/storage/contract/check.ts'
import { fsStorage } from '../../../src/storage/fs.ts'
import { memoryLocker } from '../../../src/storage/lock.ts'
import type { Lock } from '../../../src/storage/lock.ts'

export interface Step {
  readonly key: string
  /** Bytes may be stored one by one, because the step is not atomic. */
  readonly persists: boolean
  readonly old: string | null
  readonly next: string | null
  readonly complete: boolean
}

const KEYS = ['a', 'b', 'nested/c']

async function main(directory: string, options: string): Promise<never> {
  const storage = fsStorage({ directory, ...(JSON.parse(options) as object) })
  const locker = memoryLocker()
  storage.maintain?.(withFreeLock(locker))
  let lock: Lock | null = null
  for (let count = 0; ; count += 1) {
    const key = KEYS[random(KEYS.length)] ?? 'a'
    lock?.release()
    lock = await locker.acquire(key, { wait: 60_000, stall: Number.MAX_SAFE_INTEGER })
    const base = await storage.head(key)
    const reader = await storage.openReader(key)
    const old = reader && (await text(reader.read(0, reader.info.size)))
    await reader?.close()
    if (old !== null && random(8) === 0) {
      await announce({ key, persists: false, old, next: null, complete: false })
      await storage.remove(key)
      await announce('done')
      continue
    }
    const replace = old !== null && (old.length > 200_000 || random(6) === 0)
    const transaction = random(3) === 0 ? 'atomic' : 'persist'
    const writer = await storage.openWriter(key, { transaction, replace, initial: BEGUN })
    const bytes = String.fromCharCode(97 + (count % 26)).repeat(1 + random(30_000))
    const start = replace ? '' : (old ?? '')
    const position = Math.max(0, start.length - (random(3) === 0 ? random(10_000) : 0))
    const next = start.slice(0, position) + bytes + start.slice(position + bytes.length)
    const complete = random(2) === 0
    await announce({ key, persists: writer.transaction === 'persist', old, next, complete })
    const half = bytes.length >> 1
    await writer.write(position, [Buffer.from(bytes.slice(0, half))])
    await writer.write(position + half, [Buffer.from(bytes.slice(half))])
    const everComplete = complete || base?.everComplete === true
    await writer.commit({ ...BEGUN, complete, everComplete })
    await announce('done')
  }
}

function random(below: number): number {
  return Math.floor(Math.random() * below)
}

/** Resolves when the system has the line, which a kill of the process no longer loses. */
function announce(line: Step | 'done'): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(`${JSON.stringify(line)}\n`, () => resolve())
  })
}

const [directory, options = '{}'] = process.argv.slice(2)
if (directory !== undefined) await main(directory, options)
