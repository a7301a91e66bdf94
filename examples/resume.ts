/**
 * Uploads a file without the client, with `node:http` only, and resumes after every broken connection.
 * It shows all that the protocol requires of a client.
 *
 * The server compares the SHA-256 of the whole file, because equal names and sizes do not prove that
 * two files are equal. The content is sent with `node:http`, because `fetch` of Node 20 buffers it in
 * memory.
 *
 * Run: `npx tsx resume.ts FILE URL`. It prints the final status: 201 for a new file, or 200 if the
 * server already has it.
 */

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Asks for the offset and sends the rest, until the server answers with a final status, which it
 * returns. Waits `pause` milliseconds between attempts.
 */
export async function upload(file: string, url: string, pause = 1000): Promise<number> {
  const { size } = await stat(file)
  const digest = await digestOf(file)
  for (;;) {
    const headers = { 'Want-Repr-Digest': 'sha-256=10' }
    const head = await fetch(url, { method: 'HEAD', headers }).catch(() => null)
    const stored = head?.headers.get('repr-digest')
    if (head?.status === 200 && stored) {
      if (stored === digest) return 200
      throw new Error(`another file is at ${url}`)
    }
    const answer = head && (await sendRest(file, size, digest, head).catch(() => null))
    if (answer?.statusCode && !isTemporary(answer)) return answer.statusCode
    await sleep(pause)
  }
}

/** Returns the SHA-256 of a file as the value of `Repr-Digest` (RFC 9530). */
async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return `sha-256=:${hash.digest('base64')}:`
}

/** Sends the missing bytes. With the digest the server refuses to finish a file that is not equal. */
async function sendRest(
  file: string,
  size: number,
  digest: string,
  head: Response,
): Promise<IncomingMessage> {
  // The number of stored bytes is the offset. In a 404 it is 0.
  const offset = Number(head.headers.get('content-length'))
  // If no byte is missing, the range is `*`, and the request only declares the length.
  const range = offset < size ? `${offset}-${size - 1}` : '*'
  const partHeader = `Content-Range: bytes ${range}/${size}\r\n\r\n`
  const patch = request(head.url, { method: 'PATCH' })
  patch.setHeader('Content-Type', 'message/byteranges')
  patch.setHeader('Content-Length', partHeader.length + Math.max(0, size - offset))
  patch.setHeader('Repr-Digest', digest)
  // The server refuses the request if another client has written since the HEAD.
  if (head.status === 404) patch.setHeader('If-None-Match', '*')
  else patch.setHeader('If-Match', head.headers.get('etag') ?? '*')

  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    patch.on('response', (answer) => resolve(answer.resume())).on('error', reject)
  })
  patch.write(partHeader)
  // The server may refuse the request before it has read all content, and close the connection. The
  // write then fails, but the answer says why.
  const sent = pipeline(createReadStream(file, { start: offset }), patch).catch(() => undefined)
  const [answer] = await Promise.all([answered, sent])
  return answer
}

/** Whether another attempt may succeed. 412 means that another request has changed the offset. */
function isTemporary({ statusCode = 0, headers }: IncomingMessage): boolean {
  return statusCode >= 500 || [408, 412, 429].includes(statusCode) || 'retry-after' in headers
}

if (process.argv[1] === import.meta.filename) {
  const [file = '', url = ''] = process.argv.slice(2)
  console.log(await upload(file, url))
}
