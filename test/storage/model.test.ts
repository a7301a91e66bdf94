import { buffer } from 'node:stream/consumers'

import * as fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'

import type { ResourceState, StorageAdapter, Writer } from '../../src/storage/adapter.ts'
import { FAST_DIRECTORY, STORES, openStore, withDirectory } from '../support/storage/stores.ts'

/** A resource in the model that a storage must agree with. */
interface Stored {
  readonly bytes: Buffer
  readonly state: ResourceState
}

interface World {
  storage: StorageAdapter
  readonly reopen: () => StorageAdapter
  readonly stored: Map<string, Stored>
  readonly abandoned: Writer[]
}

const state = fc.record({
  complete: fc.boolean(),
  everComplete: fc.boolean(),
  completeLength: fc.constantFrom(null, 7),
  contentType: fc.constantFrom(null, 'text/plain'),
  contentDisposition: fc.constantFrom(null, 'attachment; filename="a"'),
  reprDigest: fc.constantFrom(null, 'sha-256=:AA==:'),
  owner: fc.constantFrom(null, 'ann'),
})
const step = fc.record({
  position: fc.nat(60),
  chunk: fc.oneof(
    { weight: 4, arbitrary: fc.uint8Array({ maxLength: 30 }) },
    { weight: 1, arbitrary: fc.constant('truncate' as const) },
  ),
})
const session = fc.record({
  key: fc.constantFrom('a', 'b/c'),
  transaction: fc.constantFrom('persist' as const, 'atomic' as const),
  replace: fc.boolean(),
  initial: state.map((initial) => ({ ...initial, complete: false })),
  steps: fc.array(step, { maxLength: 6 }),
  state,
  end: fc.constantFrom('commit', 'commit', 'keep', 'rollback', 'crash', 'remove'),
})
type Session = typeof session extends fc.Arbitrary<infer T> ? T : never

async function expectStored(world: World, key: string): Promise<void> {
  const info = await world.storage.head(key)
  const expected = world.stored.get(key)

  expect(info).toEqual(
    expected === undefined ? null : { ...info, ...expected.state, size: expected.bytes.length },
  )
  await expectBytes(world, key)
}

function patched(bytes: Buffer, position: number, chunk: Uint8Array): Buffer {
  if (chunk.length === 0) return bytes
  const next = Buffer.alloc(Math.max(bytes.length, position + chunk.length))
  bytes.copy(next)
  next.set(chunk, position)
  return next
}

async function run(world: World, { key, steps, end, ...session }: Session): Promise<void> {
  const { stored } = world
  const base = stored.get(key)
  if (end === 'remove') {
    expect(await world.storage.remove(key)).toBe(stored.delete(key))
    return
  }
  const writer = await world.storage.openWriter(key, session)
  const mayPersist = base === undefined || !(session.replace || base.state.complete)
  const persists = session.transaction === 'persist' && mayPersist
  expect(writer.transaction).toBe(persists ? 'persist' : 'atomic')
  let bytes = (session.replace ? null : base?.bytes) ?? Buffer.alloc(0)
  for (const { position, chunk } of steps) {
    if (chunk === 'truncate') {
      const least = persists ? (base?.bytes.length ?? 0) : 0
      bytes = bytes.subarray(0, Math.max(least, position))
      await writer.truncate(bytes.length)
    } else {
      const at = persists ? Math.min(position, bytes.length) : position
      await writer.write(at, [chunk.subarray(0, 3), chunk.subarray(3)])
      bytes = patched(bytes, at, chunk)
      if (persists && bytes.length > 0 && !stored.has(key)) {
        stored.set(key, { bytes, state: session.initial })
      }
    }
    const visible = stored.get(key)
    if (persists && visible !== undefined) stored.set(key, { ...visible, bytes })
    expect(await buffer(writer.read(0, bytes.length))).toEqual(bytes)
    await expectBytes(world, key)
  }
  if (end === 'commit') {
    const info = await writer.commit(session.state)
    stored.set(key, { bytes, state: session.state })
    expect(await world.storage.head(key)).toEqual(info)
  } else if (end === 'crash') {
    world.abandoned.push(writer)
    world.storage = world.reopen()
  } else if (end === 'keep') {
    await writer.keep()
  } else {
    await writer.rollback()
    if (base === undefined) stored.delete(key)
    else if (persists) stored.set(key, { ...base, bytes: bytes.subarray(0, base.bytes.length) })
  }
}

/**
 * Does not call `head`, because its entity tag has no meaning while bytes are overwritten in place.
 */
async function expectBytes({ storage, stored }: World, key: string): Promise<void> {
  const reader = await storage.openReader(key)
  const bytes = reader && (await buffer(reader.read(0, reader.info.size)))
  await reader?.close()

  expect(bytes).toEqual(stored.get(key)?.bytes ?? null)
}

async function expectModel(sessions: readonly Session[], reopen: () => StorageAdapter) {
  const world: World = { storage: reopen(), reopen, stored: new Map(), abandoned: [] }
  for (const each of sessions) {
    await run(world, each)
    for (const key of ['a', 'b/c']) await expectStored(world, key)
  }
  for (const writer of world.abandoned) await writer.keep()
}

/**
 * Stores of one process share their state of a directory, unless each comes from a module instance
 * of its own.
 */
async function freshModules(): Promise<readonly (typeof openStore)[]> {
  const modules: (typeof openStore)[] = []
  while (modules.length < 9) {
    vi.resetModules()
    modules.push((await import('../support/storage/stores.ts')).openStore)
  }
  return modules
}

describe('any sequence of writes leaves what a plain array of bytes would hold', () => {
  test.each(STORES)(
    '$name, opened anew after each crash',
    { timeout: 60_000 },
    async ({ name }) => {
      const modules = await freshModules()
      await fc.assert(
        fc.asyncProperty(fc.array(session, { maxLength: 8 }), (sessions) =>
          withDirectory(FAST_DIRECTORY, async (directory) => {
            let processes = 0
            const memory = openStore('memory', directory)
            const reopen = (): StorageAdapter => {
              processes += 1
              // Bytes in memory are lost with the process, so that the test does not expect them.
              return name === 'memory' ? memory : modules[processes - 1]!(name, directory)
            }
            await expectModel(sessions, reopen)
          }),
        ),
        { numRuns: name === 'memory' ? 200 : 60 },
      )
    },
  )
})
