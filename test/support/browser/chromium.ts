/** A Chromium for the tests: an installed one, or else the one from npm. */
import { constants, accessSync, existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'

import { chromium } from 'playwright-core'
import type { Browser, BrowserContext, BrowserContextOptions } from 'playwright-core'
import { afterAll, describe, onTestFinished } from 'vitest'

/** Paths of installed browsers. `CHROMIUM_PATH` replaces them. */
const INSTALLED = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

/** Without these options the browser sends requests to the servers of its vendor. */
const QUIET = [
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--disable-quic',
]

interface Candidate {
  readonly executablePath: string
  readonly env?: Readonly<Record<string, string>>
}

const browser = await launch()
afterAll(async () => {
  if (typeof browser !== 'string') await browser.close()
})

/** A block of tests, skipped with the reason in its title where no Chromium can start. */
export function describeInChromium(name: string, tests: () => void): void {
  const lacks = typeof browser === 'string'
  describe.skipIf(lacks)(lacks ? `${name} (${browser})` : name, () => {
    tests()
  })
}

/** A new profile in the one browser of the test file, which the end of the test closes. */
export async function newContext(options: BrowserContextOptions = {}): Promise<BrowserContext> {
  if (typeof browser === 'string') throw new Error(browser)
  const context = await browser.newContext(options)
  onTestFinished(() => context.close())
  return context
}

/** Starts the first browser that can start; resolves with the reason if none can. */
async function launch(): Promise<Browser | string> {
  const failures: string[] = []
  for await (const { executablePath, env = {} } of candidates()) {
    try {
      const started = await chromium.launch({
        executablePath,
        args: [...QUIET],
        env: { ...process.env, ...env },
      })
      // Some builds start, and crash at the first page.
      await started.newPage().then((page) => page.close())
      return started
    } catch (error) {
      failures.push(`${executablePath}: ${firstLine(error)}`)
    }
  }
  return `needs Chromium; ${failures.length === 0 ? 'none is installed' : failures.join('; ')}`
}

async function* candidates(): AsyncGenerator<Candidate, void, undefined> {
  const named = process.env['CHROMIUM_PATH'] ?? ''
  if (named !== '') {
    yield { executablePath: named }
    return
  }
  for (const executablePath of INSTALLED.filter(isExecutable)) yield { executablePath }
  // The package has no browser for other platforms.
  if (process.platform !== 'linux' || process.arch !== 'x64') return
  const directory = await unpack()
  const executablePath = path.join(directory, 'chromium')
  const fonts = { FONTCONFIG_PATH: path.join(directory, 'fonts') }
  yield { executablePath, env: fonts }
  // A minimal system lacks libraries, which the package brings along.
  yield { executablePath, env: { ...fonts, LD_LIBRARY_PATH: path.join(directory, 'al2023/lib') } }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Unpacks the browser of the package, once. The package unpacks into the directory for temporary
 * files, and treats a file that another process still writes as complete. Each process therefore
 * gets its own directory.
 */
async function unpack(): Promise<string> {
  const cache = path.join(
    import.meta.dirname,
    '../../../node_modules/.cache/partial-upload-chromium',
  )
  const directory = path.join(cache, 'unpacked')
  if (existsSync(directory)) return directory
  const own = path.join(cache, String(process.pid))
  await mkdir(own, { recursive: true })
  // With this name of a system the package also unpacks its libraries.
  const changed = { TMPDIR: own, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs22.x' }
  const before = Object.keys(changed).map((name) => [name, process.env[name]] as const)
  Object.assign(process.env, changed)
  try {
    const { default: npmChromium } = await import('@sparticuz/chromium')
    await npmChromium.executablePath()
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Reflect.deleteProperty(process.env, name)
      else process.env[name] = value
    }
  }
  // Another process has unpacked it meanwhile.
  await rename(own, directory).catch(() => rm(own, { recursive: true, force: true }))
  return directory
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.split('\n', 1)[0] ?? ''
}
