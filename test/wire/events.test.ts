/** onPublished, onRemoved and the diagnostics channels: the changes that an app is notified of. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'

import { RefusedError, type PublishedResource, type RemovedResource } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'
import { afterEach, describe, expect, it } from 'vitest'

import { CHUNKED, MULTIPART, chunk, multipart, request } from '../support/wire/client.ts'
import { CORNERS, FS, MEMORY, useServer, type Options } from '../support/wire/server.ts'

/** Events in order, with what the app could read at that moment. */
function recorder() {
  const events: { type: string; resource: PublishedResource | RemovedResource }[] = []
  const options: Options = {
    onPublished: (_req, resource) => void events.push({ type: 'published', resource }),
    onRemoved: (_req, resource) => void events.push({ type: 'removed', resource }),
  }
  return { events, options, take: () => events.splice(0) }
}

const NAMED = ['Content-Type: text/plain', 'Content-Disposition: attachment; filename="a.txt"']

describe.each(CORNERS)('over $name', (combination) => {
  const { options, take } = recorder()
  const server = useServer(combination, options)
  afterEach(take)

  it('a new file is published once, when it is complete', async () => {
    const path = server.path()
    await server.send('PUT', path, ['Content-Range: bytes 0-3/10', ...NAMED], 'abcd')
    const early = take()

    await server.patch(path, 'bytes 4-9/10', 'efghij')
    await server.patch(path, 'bytes 4-9/10', 'efghij')

    expect(early).toEqual([])
    expect(take()).toMatchObject([
      {
        type: 'published',
        resource: {
          key: path.slice(7),
          size: 10,
          etag: await server.etag(path),
          contentType: 'text/plain',
          name: 'a.txt',
          previous: null,
        },
      },
    ])
  })

  it.each([
    ['a PUT', 'PUT', [], 'new'],
    ['a multipart', 'PATCH', [MULTIPART], multipart(['bytes 0-0/*', 'A'], ['bytes 9-9/*', 'J'])],
    ['a PUT of a range', 'PUT', ['Content-Range: bytes 0-1/10'], 'AB'],
  ])('%s over a file is published with the version that it replaces', async (...row) => {
    const [, method, fields, body] = row
    const path = await server.given('C(10)')
    const before = await server.etag(path)
    take()

    await server.send(method, path, fields, body)

    const [event, ...more] = take()
    expect(event?.resource).toMatchObject({
      etag: await server.etag(path),
      previous: { etag: before, size: 10 },
    })
    expect(more).toEqual([])
  })

  it('a refused request, a repetition and a file that is open again are not published', async () => {
    const path = await server.given('C(10)')
    take()

    await server.patch(path, 'bytes 0-3/10', 'abcd')
    await server.patch(path, 'bytes 12-13/14', 'mn')
    await server.patch(path, 'bytes */20')

    expect(take()).toEqual([])
  })

  it.each(['C(10)', 'I(4/10)'])('a DELETE of %s is reported once', async (given) => {
    const path = await server.given(given)
    const etag = await server.etag(path)
    take()

    await server.send('DELETE', path)
    await server.send('DELETE', path)

    const resource = { key: path.slice(7), complete: given === 'C(10)', etag }
    expect(take()).toMatchObject([{ type: 'removed', resource }])
  })
})

describe('onPublished', () => {
  let inspect = async (_resource: PublishedResource): Promise<void> => undefined
  const server = useServer(MEMORY, { onPublished: (_req, resource) => inspect(resource) })

  it('runs when other requests can read the file, and before the client is answered', async () => {
    const path = server.path()
    const states: string[] = []
    let answered = false
    inspect = async () => {
      states.push(await server.state(path), answered ? 'answered' : 'not answered')
    }

    await server.send('PUT', path, [], 'abc')
    answered = true

    expect(states).toEqual(['C(3)', 'not answered'])
  })

  it('that fails becomes a warning, because the upload has succeeded', async () => {
    const path = server.path()
    const cause = new Error('the database is away')
    inspect = () => Promise.reject(cause)
    const warned = once(process, 'warning')

    const answer = await server.send('PUT', path, [], 'abc')

    const message = `partial-upload: onPublished failed for '${path.slice(7)}': the database is away`
    expect(await warned).toEqual([expect.objectContaining({ message, cause })])
    expect([answer.status, await server.state(path)]).toEqual([201, 'C(3)'])
  })

  it('that throws a refusal changes nothing', async () => {
    const path = server.path()
    inspect = () => Promise.reject(new RefusedError(403, 'too late'))
    const warned = once(process, 'warning')

    const answer = await server.send('PUT', path, [], 'abc')

    await warned
    expect([answer.status, await server.state(path)]).toEqual([201, 'C(3)'])
  })

  it('runs for a client that has disconnected', async () => {
    const path = server.path()
    const published = new Promise<PublishedResource>((resolve) => {
      inspect = async (resource) => resolve(resource)
    })
    const connection = await server.connect()

    const body = chunk('Content-Range: bytes 0-3/4\r\n\r\nabcd')
    const fields = ['Content-Type: message/byteranges', CHUNKED]
    connection.send(request('PATCH', path, fields), body)
    connection.close()

    expect(await published).toMatchObject({ key: path.slice(7), size: 4 })
  })

  it('has seen one version before the next one is written', async () => {
    const path = server.path()
    const order: string[] = []
    inspect = async ({ size }) => {
      order.push(`begin ${size}`)
      await server.state(path)
      order.push(`end ${size}`)
    }

    await Promise.all([
      server.send('PUT', path, [], 'a'),
      server.send('PUT', path, [], 'ab'),
      server.send('PUT', path, [], 'abc'),
    ])

    const pairs = order.filter((_, index) => index % 2 === 0)
    expect(order).toEqual(pairs.flatMap((begin) => [begin, begin.replace('begin', 'end')]))
    expect(pairs).toHaveLength(3)
  })
})

describe('onRemoved', () => {
  const server = useServer(MEMORY, {
    onRemoved: (_req, { name }) => {
      // An app in plain JavaScript may throw anything.
      // oxlint-disable-next-line typescript/only-throw-error
      throw name === null ? 'no name' : new Error('the database is away')
    },
  })

  it.each([
    ['an Error', NAMED, 'the database is away'],
    ['another value', [], 'no name'],
  ])('that throws %s becomes a warning with the key', async (_, fields, text) => {
    const path = server.path()
    await server.send('PUT', path, fields, 'abc')
    const warned = once(process, 'warning')

    const answer = await server.send('DELETE', path)

    const message = `partial-upload: onRemoved failed for '${path.slice(7)}': ${text}`
    expect(await warned).toEqual([expect.objectContaining({ message })])
    expect([answer.status, await server.state(path)]).toEqual([204, '∅'])
  })
})

describe('the path of a published file', () => {
  const paths: (string | null)[] = []
  const contents: string[] = []
  const onPublished: Options['onPublished'] = async (_req, { path }) => {
    paths.push(path)
    contents.push(path === null ? '' : await readFile(path, 'latin1'))
  }
  const files = useServer(FS, { onPublished })
  const memory = useServer(MEMORY, { onPublished })
  afterEach(() => {
    paths.length = 0
    contents.length = 0
  })

  it('is that of a file with its bytes', async () => {
    const path = await files.given('C(4)')

    await files.send('PUT', path, [], 'new')

    expect(contents).toEqual(['abcd', 'new'])
    expect(paths[0]).toMatch(new RegExp(`/${path.slice(7)}$`))
  })

  it('is null in memory', async () => {
    await memory.given('C(4)')

    expect(paths).toEqual([null])
  })
})

describe('filePath of a file store', () => {
  const server = useServer(FS)

  it('is null for an upload, an absent resource, and a file that layers change', async () => {
    const [incomplete, absent] = [await server.given('I(4/10)'), server.path()]
    const patched = await server.given('C(10)')
    const layers = fsStorage({ directory: server.directory, patch: 'layers', layersAbove: 1 })
    const key = patched.slice(7)
    const options = { transaction: 'atomic', replace: false, isLost: () => false } as const
    const info = await layers.head(key)
    const writer = await layers.openWriter(key, { ...options, initial: info! })
    await writer.write(0, [Buffer.from('A')])
    await writer.commit(info!)

    expect(await layers.filePath?.(incomplete.slice(7))).toBeNull()
    expect(await layers.filePath?.(absent.slice(7))).toBeNull()
    const path = (await layers.filePath?.(key)) ?? null
    // Where the file system shares blocks between copies, the file itself is changed.
    if (path !== null) expect(await readFile(path, 'latin1')).toBe('Abcdefghij')
  })
})

describe('the channels', () => {
  const server = useServer(MEMORY)

  it('get each event with its request', async () => {
    const messages: unknown[] = []
    const note = (message: unknown, name: string | symbol): void => {
      const { req, resource } = message as { req: { method: string }; resource: { key: string } }
      messages.push([name, req.method, resource.key])
    }
    const path = server.path()
    const names = ['partial-upload:published', 'partial-upload:removed']
    for (const name of names) subscribe(name, note)

    await server.send('PUT', path, [], 'abc')
    await server.send('DELETE', path)
    for (const name of names) unsubscribe(name, note)
    await server.send('PUT', path, [], 'abc')

    expect(messages).toEqual([
      ['partial-upload:published', 'PUT', path.slice(7)],
      ['partial-upload:removed', 'DELETE', path.slice(7)],
    ])
  })
})
