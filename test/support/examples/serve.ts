/** Servers for the tests of the examples. */

import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, Server as NetServer } from 'node:net'

import { prepareServer } from 'partial-upload'

/** Serves an app on a free port, or on `port`. */
export async function serve(app: RequestListener, port = 0): Promise<Server> {
  const server = prepareServer(createServer(app))
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}

/** Cuts all connections and frees the port. */
export async function stop(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}

/** The port that a server listens on. */
export function portOf(server: NetServer): number {
  return (server.address() as AddressInfo).port
}
