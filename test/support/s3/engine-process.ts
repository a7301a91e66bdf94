/**
 * Starts a real S3 engine, which lives as long as this process. Knows no test runner, so that
 * scripts can use it.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'

import { S3Client } from '@aws-sdk/client-s3'

import { freePort } from '../free-port.ts'

/** An engine that `engine.sh` starts. */
export type EngineName = 'rgw' | 'moto'

/** The credentials that every engine accepts. */
export const CREDENTIALS = { accessKeyId: 'testkey', secretAccessKey: 'testsecret' }

/** A client of an engine, or of a proxy in front of it. */
export function newClient(endpoint: string): S3Client {
  return new S3Client({
    endpoint,
    forcePathStyle: true,
    region: 'us-east-1',
    credentials: CREDENTIALS,
  })
}

const SCRIPT = path.join(import.meta.dirname, 'engine.sh')

/** Folder in which `npm run s3 -- unpack` stores the engines. */
export const FOLDER = path.join(import.meta.dirname, '../../../node_modules/.cache/s3-engines')

/** Why no engine can run here; null if one can. */
export const NO_ENGINE = reason()

function reason(): string | null {
  if (!existsSync(path.join(FOLDER, '.complete'))) return 'needs npm run s3 -- unpack'
  try {
    execFileSync('unshare', ['--mount', '--pid', '--fork', 'true'], { stdio: 'ignore' })
    return null
  } catch {
    return 'needs root'
  }
}

/** An engine that answers. */
export interface EngineProcess {
  readonly endpoint: string
  stop(): Promise<void>
}

/**
 * Starts an engine on a port, by default a free one. It ends with this process, however that ends.
 */
export async function startEngine(name: EngineName, port?: number): Promise<EngineProcess> {
  const chosen = port ?? (await freePort())
  const child = spawn('bash', [SCRIPT, 'run', name, FOLDER, String(chosen)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  for await (const endpoint of createInterface({ input: child.stdout })) {
    return {
      endpoint,
      async stop() {
        const exited = once(child, 'exit')
        child.stdin.end()
        await exited
      },
    }
  }
  throw new Error(`${name} has not started`)
}
