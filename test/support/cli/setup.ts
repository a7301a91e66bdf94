/** The command, built once for each test file, and run as a process of its own. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

import { buildSync } from 'esbuild'
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'

export const root = fileURLToPath(new URL('../../..', import.meta.url))

/** The output of a process, and its exit code. */
export interface Outcome {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** A running process. */
export interface Running {
  readonly child: ChildProcessWithoutNullStreams
  readonly outcome: Promise<Outcome>
}

export class CommandLine {
  #build = ''
  #folder = ''
  /** Variables of the environment of commands, besides those of this process. */
  environment: Readonly<Record<string, string>> = {}
  readonly #children = new Set<ChildProcessWithoutNullStreams>()

  /** The folder of the test, in which commands run. */
  get folder(): string {
    return this.#folder
  }

  /** Path of the program. */
  get program(): string {
    return path.join(this.#build, 'dist/cli/main.js')
  }

  at(...names: readonly string[]): string {
    return path.join(this.#folder, ...names)
  }

  build(): void {
    this.#build = mkdtempSync(path.join(tmpdir(), 'partial-upload-cli-build-'))
    buildSync({
      absWorkingDir: root,
      entryPoints: ['src/cli/main.ts'],
      outdir: path.join(this.#build, 'dist/cli'),
      bundle: true,
      splitting: true,
      packages: 'external',
      conditions: ['@partial-upload/source'],
      platform: 'node',
      format: 'esm',
    })
    copyFileSync(path.join(root, 'package.json'), path.join(this.#build, 'package.json'))
    symlinkSync(path.join(root, 'node_modules'), path.join(this.#build, 'node_modules'))
  }

  prepare(): void {
    this.environment = {}
    this.#folder = mkdtempSync(path.join(tmpdir(), 'partial-upload-cli-'))
  }

  async clean(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  remove(): void {
    rmSync(this.#build, { recursive: true, force: true })
  }

  start(...args: readonly string[]): Running {
    return this.startProgram('node', [this.program, ...args])
  }

  startProgram(program: string, args: readonly string[]): Running {
    const env = { ...process.env, NODE_OPTIONS: '', TERM: 'xterm', ...this.environment }
    const child = spawn(program, args, { cwd: this.#folder, env })
    this.#children.add(child.on('close', () => this.#children.delete(child)))
    child.stdin.on('error', () => undefined)
    const outcome = Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ]).then(([out, err, [code]]) => ({ code: code as number | null, out, err }))
    return { child, outcome }
  }

  /** Runs the command to its end. */
  async run(...args: readonly string[]): Promise<Outcome> {
    return this.runWith('', ...args)
  }

  /** Runs the command with `input` on its standard input. */
  async runWith(input: string | Buffer, ...args: readonly string[]): Promise<Outcome> {
    const { child, outcome } = this.start(...args)
    child.stdin.end(input)
    return outcome
  }
}

/** Builds the command before all tests, and creates a folder for each of them. */
export function useCommandLine(): CommandLine {
  const line = new CommandLine()
  beforeAll(() => line.build(), 60_000)
  beforeEach(() => line.prepare())
  afterEach(async () => line.clean())
  afterAll(() => line.remove())
  return line
}
