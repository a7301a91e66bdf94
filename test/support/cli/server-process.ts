/** A server as a process of its own, which can be killed and started again. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'

import { onTestFinished } from 'vitest'

import { root } from './setup.ts'

const FLAGS = ['--conditions=@partial-upload/source', '--import', 'tsx']
const PROGRAM = path.join(import.meta.dirname, 'upload-server.ts')

/** A server that listens. */
export interface ServerProcess {
  readonly port: number
  readonly end: (signal: NodeJS.Signals) => Promise<void>
}

/**
 * Starts a server over a folder, on a free port unless one is given. The end of the test ends it.
 */
export async function startServer(directory: string, port = 0): Promise<ServerProcess> {
  const args = [...FLAGS, PROGRAM, directory, String(port)]
  const child = spawn('node', args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  for await (const origin of createInterface(child.stdout)) {
    const end = async (signal: NodeJS.Signals): Promise<void> => {
      const exit = once(child, 'exit')
      child.kill(signal)
      await exit
    }
    return { port: Number(new URL(origin).port), end }
  }
  throw new Error(`the server did not start in ${directory}`)
}
