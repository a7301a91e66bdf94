/** Requests that end an upload, to a server that stops at chosen moments of them. */
import { MESSAGE, MULTIPART, message, multipart, request } from '../wire/client.ts'
import type { Answer, Bytes } from '../wire/client.ts'
import type { Moment } from './completion-child.ts'
import { FaultServer } from './server.ts'

export const TARGET = '/files/a'
export const DATA = 'abcdefghij'
export const LAST = message('bytes 4-9/10', 'efghij')
export const ALL = message('bytes 0-9/10', DATA)
export const MIDDLE = multipart(['bytes 4-6/10', 'efg'], ['bytes 7-9/10', 'hij'])
/** A request by a name. */
export type Step = readonly [name: string, method: string, fields: readonly string[], body: Bytes]

/** Ways to send the last bytes of an upload that has its first four. */
export const ENDS: readonly Step[] = [
  ['the last segment', 'PATCH', [MESSAGE], LAST],
  ['the whole in one segment', 'PATCH', [MESSAGE], ALL],
]

/** The same requests when they are atomic. */
export const ATOMIC_ENDS: readonly Step[] = [
  ['an atomic segment', 'PATCH', [MESSAGE, 'Prefer: transaction=atomic'], LAST],
  ['a multipart patch', 'PATCH', [MULTIPART], MIDDLE],
  ['a PUT', 'PUT', [], DATA],
]

export function start(directory: string, stops: readonly Moment[] = [], middleware = {}) {
  const options = { entry: 'completion-child.ts', directory, middleware, stops }
  return FaultServer.start(options)
}

export function send(server: FaultServer, [, method, fields, body]: Step): Promise<Answer> {
  return server.send(method, TARGET, fields, body)
}

/** Sends a request on a connection of its own. The caller may ignore the answer. */
export async function begin(server: FaultServer, [, method, fields, body]: Step) {
  const connection = await server.connect()
  return connection.send(request(method, TARGET, fields, body))
}

/** Resolves when a request has reached the moment. */
export async function stands(server: FaultServer, moment: Moment): Promise<void> {
  const connection = await server.connect()
  await connection.send(request('GET', `/moments/${moment}`)).answer()
}

export async function order(server: FaultServer, moment: Moment, what: string): Promise<void> {
  await server.send('POST', `/moments/${moment}/${what}`)
}

export async function callsOf(server: FaultServer): Promise<number> {
  return Number((await server.send('GET', '/calls')).body.toString())
}
