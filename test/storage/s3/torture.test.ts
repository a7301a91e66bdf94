/**
 * Changes one resource at random from several processes while requests fail, hang, arrive late or
 * arrive twice.
 */
import { setTimeout as pause } from 'node:timers/promises'

import { describe, expect, it } from 'vitest'

import type { StorageAdapter, Writer } from '../../../src/storage/adapter.ts'
import { BEGUN, FINISHED } from '../../../src/storage/contract/check.ts'
import { FakeBucket } from '../../support/s3/fake-bucket.ts'
import type { Operation } from '../../support/s3/faults.ts'
import { smallStore } from '../../support/s3/small-store.ts'

const { TORTURE_SEEDS = '8', TORTURE_ROUNDS = '60' } = process.env
const SEEDS = Array.from({ length: Number(TORTURE_SEEDS) }, (_, index) => index + 1)

const OPERATIONS: readonly Operation[] = [
  'get',
  'head',
  'put',
  'put',
  'put',
  'delete',
  'createMultipart',
  'uploadPart',
  'uploadPartCopy',
  'completeMultipart',
  'completeMultipart',
  'abortMultipart',
]
const KINDS = [
  'refuse',
  'lose',
  'lose',
  'late',
  'late',
  'duplicate',
  'duplicate',
  'hang',
  'silence',
] as const

/** The content of the resource as a reader sees it. */
interface Sight {
  readonly text: string | null
  readonly complete: boolean
}

const ABSENT: Sight = { text: null, complete: false }

describe.concurrent('several processes on a bucket that fails', () => {
  it.each(SEEDS)('keep every acknowledged byte, seed %i', { timeout: 300_000 }, async (seed) => {
    const random = randomOf(seed)
    const bucket = new FakeBucket({ minPartSize: 65_536, versioned: seed % 4 === 0 })
    const etags = new Map<string, string>()
    let sight = ABSENT
    const log: string[] = []

    for (let round = 0; round < Number(TORTURE_ROUNDS); round += 1) {
      const storage = smallStore(bucket, { flushAfter: 10_000_000 })
      const step = pick(random, STEPS)
      for (let count = random(3); count > 0; count -= 1) {
        const kind = pick(random, KINDS)
        const aim = { operation: pick(random, OPERATIONS), skip: random(4), times: 1 + random(2) }
        bucket.faults.add(aim, { kind })
        log.push(`  ${kind} ${JSON.stringify(aim)}`)
      }
      log.push(`${round} ${step.name}`)
      const allowed = await step(storage, sight, () => text(random), random)
      if (random(2) === 0) {
        bucket.faults.deliver()
        log.push('  deliver')
      }
      bucket.faults.clear()
      const isAllowed = ({ text: found, complete }: Sight): boolean =>
        allowed.some((each) => each.text === found && each.complete === complete)
      const seen = await look(smallStore(bucket), etags)
      // The next writer completes or aborts a publication that a killed process has begun.
      await (await open(smallStore(bucket), 'atomic')).rollback()
      sight = await look(smallStore(bucket), etags)
      for (const each of [seen, sight]) {
        if (isAllowed(each)) continue
        const expected = allowed.map(show).join(' or ')
        expect.fail(`${log.slice(-30).join('\n')}\nfound ${show(each)}, expected ${expected}`)
      }
    }
    bucket.faults.deliver()
    expect(await look(smallStore(bucket), etags)).toEqual(sight)
  })
})

/** Makes one change, and returns all contents that readers may see afterwards. */
type Step = (
  storage: StorageAdapter,
  before: Sight,
  text: () => string,
  random: (limit: number) => number,
) => Promise<readonly Sight[]>

const STEPS: readonly Step[] = [append, append, finish, patch, patch, replace, remove]

async function append(
  storage: StorageAdapter,
  before: Sight,
  text: () => string,
  random: (limit: number) => number,
): Promise<readonly Sight[]> {
  const [first, second] = [text(), text()]
  const start = before.complete ? '' : (before.text ?? '')
  // At least the acknowledged bytes are stored, and at most all that were sent.
  let least = start.length
  let most = start.length
  const isDone = await attempt(async () => {
    const writer = await open(storage, 'persist')
    if (writer.transaction === 'atomic') return writer.rollback()
    most += first.length
    await writer.write(start.length, [Buffer.from(first)])
    if (random(2) === 0) {
      await writer.flush?.()
      least = most
    }
    most += second.length
    await writer.write(start.length + first.length, [Buffer.from(second)])
    const end = random(4)
    if (end === 0) return
    if (end === 1) await writer.commit(BEGUN)
    else await writer.keep()
    least = most
  })
  if (before.complete) return [before]
  const whole = `${start}${first}${second}`
  const sizes = isDone && least === most ? [most] : [least, start.length + first.length, most]
  const seen = sizes
    .filter((size) => size >= least)
    .map((size) => ({ text: whole.slice(0, size), complete: false }))
  return least === 0 || (before.text === null && least === start.length) ? [ABSENT, ...seen] : seen
}

async function finish(
  storage: StorageAdapter,
  before: Sight,
  text: () => string,
): Promise<readonly Sight[]> {
  if (before.complete) return [before]
  const added = text()
  const start = before.text ?? ''
  const isDone = await attempt(async () => {
    const writer = await open(storage, 'persist')
    await write(writer, start.length, added)
    await writer.commit(FINISHED)
  })
  const after = { text: start + added, complete: true }
  // A writer that fails between its fence and the end may leave the bytes as an upload.
  return isDone ? [after] : [before, after, { text: start + added, complete: false }]
}

async function patch(
  storage: StorageAdapter,
  before: Sight,
  text: () => string,
): Promise<readonly Sight[]> {
  if (before.text === null) return [before]
  const added = text().slice(0, 20)
  const old = before.text
  const isDone = await attempt(async () => {
    const writer = await open(storage, 'atomic')
    await write(writer, Math.min(old.length, 3), added)
    await writer.commit(before.complete ? FINISHED : BEGUN)
  })
  const at = Math.min(old.length, 3)
  const after = {
    text: old.slice(0, at) + added + old.slice(at + added.length),
    complete: before.complete,
  }
  return isDone ? [after] : [before, after]
}

async function replace(
  storage: StorageAdapter,
  before: Sight,
  text: () => string,
): Promise<readonly Sight[]> {
  const content = text()
  const isDone = await attempt(async () => {
    const writer = await open(storage, 'atomic', true)
    await write(writer, 0, content)
    await writer.commit(FINISHED)
  })
  const after = { text: content, complete: true }
  return isDone ? [after] : [before, after]
}

async function remove(storage: StorageAdapter, before: Sight): Promise<readonly Sight[]> {
  const isDone = await attempt(async () => void (await storage.remove('a')))
  return isDone ? [ABSENT] : [before, ABSENT]
}

/** Whether the work was acknowledged. A process whose request hangs counts as killed. */
async function attempt(work: () => Promise<void>): Promise<boolean> {
  const killed = pause(4000, false, { ref: false })
  return Promise.race([
    work().then(
      () => true,
      (error: unknown) => {
        if (!(error instanceof Error) || !('code' in error)) throw error
        return false
      },
    ),
    killed,
  ])
}

function open(
  storage: StorageAdapter,
  transaction: 'persist' | 'atomic',
  isReplacement = false,
): Promise<Writer> {
  return storage.openWriter('a', { transaction, replace: isReplacement, initial: BEGUN })
}

async function write(writer: Writer, position: number, content: string): Promise<void> {
  await writer.write(position, [Buffer.from(content)])
}

async function look(storage: StorageAdapter, etags: Map<string, string>): Promise<Sight> {
  const reader = await storage.openReader('a')
  if (reader === null) return ABSENT
  const chunks: Uint8Array[] = []
  for await (const chunk of reader.read(0, reader.info.size)) chunks.push(chunk)
  await reader.close()
  const found = Buffer.concat(chunks).toString()
  const { etag, complete } = reader.info
  expect(etags.get(etag) ?? found).toBe(found)
  etags.set(etag, found)
  return { text: found, complete }
}

function show({ text: content, complete }: Sight): string {
  if (content === null) return 'nothing'
  return `${complete ? 'a file' : 'an upload'} of ${content.length} (${content.slice(0, 30)}…)`
}

/** Makes a text of a length between one byte and several data objects. */
function text(random: (limit: number) => number): string {
  const length = pick(random, [1, 5, 1000, 20_000, 140_000, 400_000])
  const word = `${String(random(1_000_000)).padStart(6, '0')} `
  return word.repeat(Math.ceil(length / word.length)).slice(0, length)
}

function pick<T>(random: (limit: number) => number, all: readonly T[]): T {
  const found = all[random(all.length)]
  if (found === undefined) throw new Error('nothing to pick')
  return found
}

/** Mulberry32: random integers below a limit, the same for the same seed. */
function randomOf(seed: number): (limit: number) => number {
  let state = seed
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) % limit
  }
}
