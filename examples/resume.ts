/**
 * Uploads FILE to URL, and goes on after every break: `… examples/resume.ts FILE URL`.
 *
 * The content goes through node:http, since `fetch` of Node 20 holds all that it sends in memory.
 */

import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** Tries until there is a final status, and returns it. Waits `pause` milliseconds between tries. */
export async function upload(file: string, url: string, pause = 1000): Promise<number> {
  const { size } = await stat(file)
  for (;;) {
    const head = await fetch(url, { method: 'HEAD' }).catch(() => null)
    if (head?.status === 200 && stored(head) !== size) throw new Error(`another file is at ${url}`)
    const answer = head && (await sendRest(file, size, head).catch(() => null))
    if (answer?.statusCode && !isTemporary(answer)) return answer.statusCode
    await sleep(pause)
  }
}

/** Bytes that the server has; of a resource that does not exist (404), 0. */
function stored(head: Response): number {
  return Number(head.headers.get('content-length'))
}

async function sendRest(file: string, size: number, head: Response): Promise<IncomingMessage> {
  const offset = stored(head)
  const range = offset < size ? `${offset}-${size - 1}` : '*' // `*`: no bytes, only the length.
  const partHeader = `Content-Range: bytes ${range}/${size}\r\n\r\n`
  const patch = request(head.url, { method: 'PATCH' })
  patch.setHeader('Content-Type', 'message/byteranges')
  patch.setHeader('Content-Length', partHeader.length + Math.max(0, size - offset))
  if (head.status === 404) patch.setHeader('If-None-Match', '*')
  else patch.setHeader('If-Match', head.headers.get('etag') ?? '*') // Nobody wrote since HEAD.

  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    patch.on('response', (answer) => resolve(answer.resume())).on('error', reject)
  })
  patch.write(partHeader)
  // An answer may come before all is sent, and counts more than the broken pipe.
  const sent = pipeline(createReadStream(file, { start: offset }), patch).catch(() => undefined)
  const [answer] = await Promise.all([answered, sent])
  return answer
}

function isTemporary({ statusCode = 0, headers }: IncomingMessage): boolean {
  return statusCode >= 500 || [408, 412, 429].includes(statusCode) || 'retry-after' in headers
}

if (process.argv[1] === import.meta.filename) {
  const [file = '', url = ''] = process.argv.slice(2)
  console.log(await upload(file, url))
}
