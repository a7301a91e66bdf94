/** The life of a resource through shared caches: the answers are those of the app. */
import { describe, expect, it } from 'vitest'

import {
  Connection,
  CHUNKED,
  MESSAGE,
  ask,
  chunk,
  field,
  message,
  request,
} from '../support/wire/client.ts'
import type { Answer, Bytes } from '../support/wire/client.ts'
import { MEMORY, stateOf, useServer } from '../support/wire/server.ts'
import {
  APACHE_CACHE,
  CADDY,
  HAPROXY,
  NGINX_CACHE,
  VARNISH,
  useProxy,
} from '../support/faults/proxies.ts'
import type { Proxy } from '../support/faults/proxies.ts'
import { title } from '../support/faults/server.ts'

const PROXIES = [VARNISH, NGINX_CACHE, APACHE_CACHE, CADDY, HAPROXY]
const MIB = 1024 * 1024
const FIRST = 'a'.repeat(200)
const SECOND = 'b'.repeat(400)

type Step = readonly [method: string, fields?: readonly string[], body?: Bytes]

/** Each method reads each version twice, so that a cache may answer the second request. */
const LOOK: readonly Step[] = [['HEAD'], ['GET'], ['GET'], ['HEAD']]

const LIFE: readonly Step[] = [
  ...LOOK,
  ['PATCH', [MESSAGE], message('bytes 0-199/600', FIRST)],
  ...LOOK,
  ['PATCH', [MESSAGE], message('bytes 200-399/600', SECOND.slice(0, 200))],
  ...LOOK,
  ['PATCH', [MESSAGE], message('bytes 400-599/600', SECOND.slice(200))],
  ...LOOK,
  ['GET', ['Range: bytes=100-299']],
  ['GET', ['If-None-Match: "other"']],
  ['PATCH', [MESSAGE], message('bytes 0-0/600', 'X')],
  ...LOOK,
  ['GET', ['Range: bytes=0-9']],
  ['PUT', ['Content-Type: text/plain'], 'put in one go'],
  ...LOOK,
  ['GET', ['Range: bytes=0-2']],
  ['DELETE'],
  ...LOOK,
  ['PUT', ['Content-Type: text/plain'], 'created anew'],
  ...LOOK,
  ['DELETE'],
  ...LOOK,
  ['PATCH', [MESSAGE], message('bytes 0-3/4', 'abcd')],
  ...LOOK,
]

/** nginx asks for the whole where it might store the answer, and passes that on. */
function passedOn(proxy: Proxy, fields: readonly string[]): readonly string[] {
  return proxy === NGINX_CACHE ? fields.filter((line) => !/^(?:Range|If-)/.test(line)) : fields
}

/** What a client acts on. Apache leaves `Content-Length: 0` out of answers to HEAD. */
function essence(method: string, answer: Answer) {
  const isRead = method === 'GET' || method === 'HEAD'
  const names = isRead ? ['content-type', 'upload-length', 'content-range'] : []
  return {
    status: answer.status,
    length: isRead ? (field(answer, 'content-length') ?? '0') : null,
    fields: names.map((name) => [name, field(answer, name)]),
    body: method === 'GET' ? answer.body.toString() : '',
  }
}

describe.each(
  PROXIES.map((proxy) => [title(`behind ${proxy.name}`, proxy.missing), proxy] as const),
)('%s', (_title, proxy) => {
  describe.skipIf(proxy.missing !== null)('a resource', () => {
    const server = useServer(MEMORY, { incompleteContentRange: proxy !== VARNISH })
    const cache = useProxy(proxy, () => server.port)

    it('behaves as it does without a cache', async () => {
      const [direct, cached] = [server.path(), server.path()]

      for (const [index, [method, fields = [], body = '']] of LIFE.entries()) {
        const expected = await ask(server, method, direct, passedOn(proxy, fields), body)
        const found = await ask(cache, method, cached, fields, body)
        const step = `step ${index}: ${method} ${fields.join(' ')}`
        expect([step, essence(method, found)]).toEqual([step, essence(method, expected)])
      }
    })

    it('is revalidated with the tag of its current version', async () => {
      const path = server.path()
      await ask(cache, 'PUT', path, [], 'one')
      const first = field(await ask(cache, 'GET', path), 'etag')
      const same = await ask(cache, 'GET', path, [`If-None-Match: ${first}`])
      await ask(cache, 'PATCH', path, [MESSAGE], message('bytes 0-0/3', 'X'))
      const other = await ask(cache, 'GET', path, [`If-None-Match: ${first}`])
      const stale = await ask(
        cache,
        'PATCH',
        path,
        [MESSAGE, `If-Match: ${first}`],
        message('bytes 0-0/3', 'Y'),
      )
      const now = await ask(cache, 'HEAD', path)

      expect(same.status).toBe(proxy === NGINX_CACHE ? 200 : 304)
      expect([other.status, other.body.toString()]).toEqual([200, 'Xne'])
      expect(stale.status).toBe(412)
      expect(field(now, 'etag')).toBe(await server.etag(path))
    })

    it('that another path changes is not served stale', async () => {
      const path = server.path()
      await ask(cache, 'GET', path)

      await server.send('PUT', path, [], 'behind the back of the cache')
      const created = await ask(cache, 'GET', path)
      await server.send('DELETE', path)
      const removed = await ask(cache, 'GET', path)

      expect([created.status, removed.status]).toEqual([200, 404])
    })

    it.each([
      ['another type', 'Content-Type: image/png', 415],
      ['a gap', MESSAGE, 409],
    ])('refuses a long upload with its answer: %s', async (_why, type, status) => {
      const path = await server.given('I(4/*)')
      const head = message(`bytes 9-${9 + 64 * MIB - 1}/*`)

      for (const length of [`Content-Length: ${head.length + 64 * MIB}`, CHUNKED]) {
        const wrap = (bytes: Buffer): Buffer => (length === CHUNKED ? chunk(bytes) : bytes)
        const connection = await Connection.open(cache.port)
        connection.send(request('PATCH', path, [type, length]), wrap(head))
        for (let sent = 0; sent < 64 && connection.isOpen; sent += 1) {
          await new Promise((resolve) => connection.socket.write(wrap(Buffer.alloc(MIB)), resolve))
        }
        if (length === CHUNKED && connection.isOpen) connection.send('0\r\n\r\n')
        expect([length, (await connection.answer()).status]).toEqual([length, status])
        connection.socket.destroy()
      }
      expect(stateOf(await server.head(path))).toBe('I(4/*)')
    })
  })
})
