/** The checks of a lock owner that /proc does not show. */
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const ENTRY = fileURLToPath(new URL('../../support/storage/fs-liveness-child.ts', import.meta.url))
const run = promisify(execFile)

let directory = ''
let program = ''

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'fs-owner-'))
  program = path.join(directory, 'child.mjs')
  await build({
    entryPoints: [ENTRY],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'esm',
  })
  await chmod(directory, 0o755) // For the user that one of the tests becomes.
})

afterAll(() => rm(directory, { recursive: true }))

const CAN_UNSHARE = await run('unshare', ['-pfm', '--mount-proc', 'true']).then(
  () => true,
  () => false,
)
const REASON = CAN_UNSHARE ? '' : ' (skipped: needs unshare as root)'

/** Returns the output of the program in a PID namespace of its own, after `prepare`. */
async function inNamespace(options: readonly string[], script: string): Promise<string> {
  const { stdout } = await run('unshare', [
    ...options,
    'sh',
    '-c',
    script,
    process.execPath,
    program,
  ])
  return stdout.trim()
}

describe.skipIf(!CAN_UNSHARE)(`the owner of a lock${REASON}`, () => {
  it('is dead where another process has its number', async () => {
    expect(await inNamespace(['-pfm', '--mount-proc'], '"$0" "$1" 1')).toMatch(/ dead$/)
  })

  it('is unknown where /proc is that of another PID namespace', async () => {
    expect(await inNamespace(['-pf'], '"$0" "$1" 1')).toBe('- unknown')
  })

  it('is unknown where /proc is missing', async () => {
    expect(await inNamespace(['-pfm'], 'mount -t tmpfs none /proc && "$0" "$1" 1')).toBe(
      '- unknown',
    )
  })

  it('is unknown where /proc hides the process that has its number', async () => {
    const script =
      'mount -o remount,hidepid=2 /proc && setpriv --reuid 65534 --regid 65534 --clear-groups "$0" "$1" 1; true'

    expect(await inNamespace(['-pfm', '--mount-proc'], script)).toMatch(/^\S{16} unknown$/)
  })
})
