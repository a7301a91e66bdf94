import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'

import { expect, test } from 'vitest'

import type { StorageAdapter } from '../../../src/storage/adapter.ts'
import { BEGUN } from '../../../src/storage/contract/check.ts'
import { fsStorage } from '../../../src/storage/fs.ts'
import type { Step } from '../../support/storage/fs-kill-child.ts'

const CHILD = path.join(import.meta.dirname, '../../support/storage/fs-kill-child.ts')

/**
 * Kills the child at some moment after its first steps, and returns the lines that it has printed.
 */
async function runAndKill(directory: string, options: object): Promise<readonly (Step | 'done')[]> {
  const argv = ['--import', 'tsx', CHILD, directory, JSON.stringify(options)]
  const child = spawn(process.execPath, argv, {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: (Step | 'done')[] = []
  const last = 2 + Math.floor(Math.random() * 40)
  for await (const line of createInterface({ input: child.stdout })) {
    // A line that the kill has cut does not count.
    if (!line.endsWith('}') && !line.endsWith('"')) break
    lines.push(JSON.parse(line) as Step | 'done')
    if (lines.length === last) setTimeout(() => child.kill('SIGKILL'), Math.random() * 4)
  }
  return lines
}

/** The stored text, or null if the resource does not exist, and whether it is finished. */
async function load(storage: StorageAdapter, key: string) {
  const info = await storage.head(key)
  const reader = await storage.openReader(key)
  const stored = reader && (await text(reader.read(0, reader.info.size)))
  await reader?.close()

  expect(info?.size).toBe(stored?.length)
  return { stored, complete: info?.complete ?? false }
}

/** Whether each byte is from before the step or from the step, and no byte was lost. */
function isBetween(stored: string, old: string, next: string): boolean {
  if (stored.length < old.length || stored.length > Math.max(old.length, next.length)) return false
  return [...stored].every((byte, index) => byte === old[index] || byte === next[index])
}

function isPossible(step: Step, stored: string | null, complete: boolean): boolean {
  if (stored === step.old) return true
  if (stored === step.next) return complete === step.complete || step.persists
  if (!step.persists || stored === null || step.next === null || complete) return false
  return isBetween(stored, step.old ?? '', step.next)
}

test.each([
  ['copies', {}, 20],
  ['layers', { patch: 'layers', layersAbove: 0, rebuildAfter: 0 }, 8],
] as const)(
  'a killed process leaves each resource before or after its change (%s)',
  { timeout: 180_000 },
  async (_name, options, count) => {
    const directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-'))
    const known = new Map<string, string | null>()
    let steps = 0
    for (let kills = 0; kills < count; kills += 1) {
      const lines = await runAndKill(directory, options)
      let pending: Step | null = null
      for (const line of lines) {
        if (line !== 'done') pending = line
        else if (pending !== null) {
          known.set(pending.key, pending.next)
          pending = null
          steps += 1
        }
      }
      const storage = fsStorage({ directory })
      for (const key of ['a', 'b', 'nested/c']) {
        const { stored, complete } = await load(storage, key)
        if (pending?.key === key) {
          expect(isPossible(pending, stored, complete), `${key} after a kill`).toBe(true)
        } else {
          expect(stored, `${key}, which had no pending change`).toBe(known.get(key) ?? null)
        }
        const writer = await storage.openWriter(key, {
          transaction: 'persist',
          replace: false,
          initial: { ...BEGUN, complete },
        })
        await writer.rollback()

        expect(await load(storage, key), `${key} after its repair`).toEqual({ stored, complete })
        known.set(key, stored)
      }
    }
    await rm(directory, { recursive: true })

    expect(steps).toBeGreaterThan(count)
  },
)
