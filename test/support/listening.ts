/** Servers and connections that the end of a test closes. */
import { once } from 'node:events'
import type http from 'node:http'

import { afterEach } from 'vitest'

import type { Connection } from './wire/client.ts'

/** Lists for the servers and connections of each test, which are closed after it. */
export function closedAfterEach(): {
  readonly servers: http.Server[]
  readonly connections: Connection[]
} {
  const servers: http.Server[] = []
  const connections: Connection[] = []
  afterEach(async () => {
    for (const connection of connections.splice(0)) connection.socket.destroy()
    for (const server of servers.splice(0)) {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  })
  return { servers, connections }
}
