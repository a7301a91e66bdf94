/** Turns bytes into requests: one of several beginnings, and then the bytes. */
import { checkHead } from './check-head.ts'
import { splitInput } from './input.ts'
import type { StoreName } from '../support/storage/stores.ts'
import { FuzzServer } from './server.ts'

/** Texts that precede the bytes. */
const BEGINNINGS = [
  '',
  'GET /files/',
  'PATCH /files/x HTTP/1.1\r\nHost: a\r\nContent-Type: message/byteranges\r\n',
  'PATCH /files/x HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/byteranges; boundary=',
  'PATCH /files/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Type: message/byteranges\r\n',
  'PUT /files/x HTTP/1.1\r\nHost: a\r\n',
  'GET /files/x HTTP/1.1\r\nHost: a\r\n',
  'HEAD /files/x HTTP/1.1\r\nHost: a\r\nIf-None-Match: ',
  'DELETE /files/x HTTP/1.1\r\nHost: a\r\nIf-Match: ',
]

/** Makes a target on one store; its server starts with the first input. */
export function fuzzHead(store: StoreName): (data: Uint8Array) => Promise<void> {
  let server: Promise<FuzzServer> | null = null
  return async (data) => {
    server ??= FuzzServer.start(store)
    const { choice, bytes } = splitInput(data)
    const beginning = BEGINNINGS[choice % BEGINNINGS.length]!
    await checkHead(await server, Buffer.concat([Buffer.from(beginning), bytes]))
  }
}
