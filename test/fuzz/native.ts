/**
 * Finds a command that starts Node so that it can load the native part of the fuzzer.
 *
 * That part needs glibc 2.38, and Debian 12 has 2.36. On Debian 12, Node therefore runs under the
 * dynamic loader of Debian 13, which is unpacked into a folder. The system is not changed.
 */
import { execFile } from 'node:child_process'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { promisify } from 'node:util'

/** The command before the name of a script, or the reason why Node can't load the fuzzer. */
export type NativeNode =
  { readonly command: readonly string[] } | { readonly command: null; readonly reason: string }

const run = promisify(execFile)
const require = createRequire(import.meta.url)
const ADDON = createRequire(require.resolve('@jazzer.js/core')).resolve('@jazzer.js/fuzzer')
const CACHE = path.join(import.meta.dirname, '../../node_modules/.cache/partial-upload-fuzz')
const PACKAGES = ['libc6', 'libstdc++6', 'libgcc-s1']
const SUITE = 'trixie'

/** Returns the simplest command that works. Plain Node is tried first. */
export async function findNativeNode(): Promise<NativeNode> {
  const plain = [process.execPath]
  const failure = await tryToLoad(plain)
  if (failure === null) return { command: plain }
  if (process.platform !== 'linux' || !/GLIBC/.test(failure)) {
    return { command: null, reason: failure }
  }
  try {
    const libraries = await unpackLibraries()
    const command = [loaderIn(libraries), '--library-path', libraries, process.execPath]
    const reason = await tryToLoad(command)
    return reason === null ? { command } : { command: null, reason }
  } catch (error) {
    const reason = `${failure}, and the libraries of Debian ${SUITE} could not be fetched: ${lastLine(error)}`
    return { command: null, reason }
  }
}

async function tryToLoad([program = '', ...args]: readonly string[]): Promise<string | null> {
  try {
    await run(program, [...args, '-e', `require(${JSON.stringify(ADDON)})`])
    return null
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    return /Error: (.*)/.exec(text)?.[1] ?? lastLine(error)
  }
}

/**
 * Downloads and unpacks the packages with apt, which checks their signatures, unless an earlier run
 * has done so. Returns the folder.
 */
async function unpackLibraries(): Promise<string> {
  const root = path.join(CACHE, SUITE)
  const libraries = path.join(root, 'usr/lib', `${machine()}-linux-gnu`)
  if ((await readdir(libraries).catch(() => [])).length > 0) return libraries
  const apt = path.join(CACHE, 'apt')
  await rm(apt, { recursive: true, force: true })
  for (const folder of ['lists/partial', 'cache/archives/partial']) {
    await mkdir(path.join(apt, folder), { recursive: true })
  }
  await writeFile(path.join(apt, 'status'), '')
  await writeFile(path.join(apt, 'sources.list'), await sourceLine())
  const options = [
    `Dir::State::Lists=${apt}/lists`,
    `Dir::State::status=${apt}/status`,
    `Dir::Cache=${apt}/cache`,
    `Dir::Etc::SourceList=${apt}/sources.list`,
    'Dir::Etc::SourceParts=/dev/null',
    'APT::Sandbox::User=',
  ].flatMap((option) => ['-o', option])
  await run('apt-get', [...options, '-qq', 'update'])
  await run('apt-get', [...options, '-qq', 'download', ...PACKAGES], { cwd: apt })
  const files = (await readdir(apt)).filter((name) => name.endsWith('.deb'))
  for (const file of files) await run('dpkg', ['-x', path.join(apt, file), root])
  await rm(apt, { recursive: true })
  return libraries
}

/** Returns the source line for the newer suite on the mirror that this system uses. */
async function sourceLine(): Promise<string> {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(SITE) $(RELEASE)'])
  const mirror = stdout
    .split('\n')
    .find((line) => line.endsWith(' bookworm'))
    ?.split(' ')[0]
  const site = mirror ?? 'http://deb.debian.org/debian'
  return `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${site} ${SUITE} main\n`
}

function loaderIn(libraries: string): string {
  return path.join(
    libraries,
    machine() === 'x86_64' ? 'ld-linux-x86-64.so.2' : 'ld-linux-aarch64.so.1',
  )
}

function machine(): 'x86_64' | 'aarch64' {
  return process.arch === 'arm64' ? 'aarch64' : 'x86_64'
}

function lastLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.trim().split('\n').at(-1) ?? text
}
