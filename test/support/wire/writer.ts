/** A client in the middle of an upload. */
import { CHUNKED, MESSAGE, chunk, message, request } from './client.ts'
import type { Peer } from './client.ts'

/** The part of a server that a writer needs, in this process or in another one. */
interface Server {
  connect(): Promise<Peer>
  becomes(target: string, state: string): Promise<void>
}

/** A writer of `bytes 0-9/10` that has delivered `abcd` and sends nothing more. */
export async function startWriting(server: Server, target: string): Promise<Peer> {
  const connection = await server.connect()
  connection.send(request('PATCH', target, [MESSAGE, CHUNKED]))
  connection.send(chunk(message('bytes 0-9/10', 'abcd')))
  await server.becomes(target, 'I(4/10)')
  return connection
}

/** Makes the client deliver the rest. */
export function finish(connection: Peer): Peer {
  return connection.send(chunk('efghij'), '0\r\n\r\n')
}
