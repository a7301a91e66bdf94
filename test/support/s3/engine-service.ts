/**
 * Starts each engine at most once in a run of the tests, when the first test asks for it: a service
 * of the test runner's main process, because the processes of the test files come and go.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'

import type { TestProject } from 'vitest/node'

import { startEngine } from './engine-process.ts'
import type { EngineName, EngineProcess } from './engine-process.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Answers a request for the path of an engine's name with its endpoint. */
    readonly engineService: string
  }
}

/** Called by Vitest before the first test file; what it returns is called after the last one. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const engines = new Map<string, Promise<EngineProcess>>()
  const service = createServer((req, res) => {
    const name = req.url?.slice(1)
    if (!isEngine(name)) throw new Error(`there is no engine ${name}`)
    const engine = engines.get(name) ?? startEngine(name)
    engines.set(name, engine)
    engine.then(
      ({ endpoint }) => res.end(endpoint),
      (error: unknown) => res.writeHead(500).end(String(error)),
    )
  })
  service.listen(0, '127.0.0.1')
  await once(service, 'listening')
  const address = service.address()
  if (address === null || typeof address === 'string') throw new Error('the service has no port')
  project.provide('engineService', `http://127.0.0.1:${address.port}/`)
  return async () => {
    service.close()
    service.closeAllConnections()
    const started = await Promise.allSettled(engines.values())
    for (const engine of started) if (engine.status === 'fulfilled') await engine.value.stop()
  }
}

function isEngine(name: string | undefined): name is EngineName {
  return name === 'rgw' || name === 'moto'
}
