/**
 * Records that are read once and looked up from then on, and changes by others that must be seen.
 */
import { spawnSync } from 'node:child_process'
import { mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { OwnerLease } from '../../../src/storage/fs/owner-lease.ts'
import { pathsOf, type ResourcePaths } from '../../../src/storage/fs/paths.ts'
import { currentRecord } from '../../../src/storage/fs/record-cache.ts'

let place: ResourcePaths

beforeEach(async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'record-cache-'))
  const ownerLease = new OwnerLease(root, () => false)
  place = pathsOf({ root, staging: root, ownerLease }, 'a')
})
afterEach(async () => {
  vi.restoreAllMocks()
  await rm(place.root, { recursive: true })
})

describe.runIf(process.platform === 'linux')('currentRecord', () => {
  it('reads a record once', async () => {
    await writeFile(place.record, 'one')
    await passTime(60)
    const first = await currentRecord(place)

    const second = await currentRecord(place)

    expect(first?.text).toBe('one')
    expect(second).toBe(first)
  })

  it('reads the record again that another process has put at the path', async () => {
    await writeFile(place.record, 'one')
    await passTime(60)
    await currentRecord(place)
    const script = `fs.writeFileSync('${place.record}.tmp', 'two'); fs.renameSync('${place.record}.tmp', '${place.record}')`
    spawnSync(process.execPath, ['-e', script])

    const stored = await currentRecord(place)

    expect(stored?.text).toBe('two')
  })

  it('reads an earlier record again that was renamed back to the path', async () => {
    await writeFile(place.record, 'one')
    await passTime(60)
    await currentRecord(place)
    await rename(place.record, `${place.record}.old`)
    expect(await currentRecord(place)).toBeNull()
    await rename(`${place.record}.old`, place.record)

    const stored = await currentRecord(place)

    expect(stored?.text).toBe('one')
  })

  it('does not keep a record that the next one may resemble in number and time', async () => {
    await writeFile(place.record, 'one')
    await passTime(40)
    const first = await currentRecord(place)

    const second = await currentRecord(place)

    expect(second).not.toBe(first)
    expect(second).toEqual(first)
  })
})

/** Sets the clock to `milliseconds` after the change of the record. */
async function passTime(milliseconds: number): Promise<void> {
  const { ctimeMs } = await stat(place.record)
  vi.spyOn(Date, 'now').mockReturnValue(Math.ceil(ctimeMs) + milliseconds)
}
