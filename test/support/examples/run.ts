/** Programs of the examples that are not written in TypeScript. */
import { execFile, spawnSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url))

/** The end of a program. */
export interface Result {
  readonly code: number
  /** Its whole output. */
  readonly output: string
}

/** Whether a command is installed. */
export function isInstalled(command: string): boolean {
  return spawnSync(command, ['--version']).error === undefined
}

/** Runs an example with a command, such as `python3`. */
export function runExample(
  command: string,
  example: string,
  args: readonly string[],
): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(
      command,
      [path.join(EXAMPLES, example), ...args],
      (_error, stdout, stderr) => {
        resolve({ code: child.exitCode ?? -1, output: stdout + stderr })
      },
    )
  })
}
