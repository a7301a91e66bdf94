import { readFileSync } from 'node:fs'
import type { Server } from 'node:http'

import { portOf } from '../ipc.ts'

/** Directory in which a contestant stores: the first argument of its process. */
export function storageDirectory(): string {
  const [, , directory] = process.argv
  if (directory === undefined) throw new TypeError('usage: SERVER DIRECTORY')
  return directory
}

/**
 * Listens on a free port, sends it to the parent process, and answers each message with its usage.
 */
export function serve(server: Server): void {
  server.requestTimeout = 0
  server.listen(0, '127.0.0.1', () => process.send?.({ port: portOf(server) }))
  process.on('message', () => process.send?.(usage()))
  process.on('disconnect', () => process.exit())
}

/** CPU time in seconds, user and system, and the largest resident memory so far in bytes. */
function usage(): { readonly cpu: number; readonly peak: number } {
  const { user, system } = process.cpuUsage()
  return { cpu: (user + system) / 1e6, peak: peakMemory() }
}

/** `VmHWM` where there is a /proc: `maxRSS` begins with the parent's value on Linux. */
function peakMemory(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))
  return Number(match?.[1]) * 1024
}
