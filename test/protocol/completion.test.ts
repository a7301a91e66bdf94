/** The end of a write after its data: checks, the decision of the app, the commit. */
import { describe, expect, it } from 'vitest'

import { RefusedError, type FinishedResource } from '../../src/hooks.ts'
import { digest } from '../support/digest.ts'
import { bodyOf, handlerFor, patch, request, type Options } from '../support/plain.ts'
import { WatchedStorage } from '../support/watched-storage.ts'
import { parseState } from '../support/wire/state.ts'

const LETTERS = 'abcdefghij'
const ATOMIC = { Prefer: 'transaction=atomic' }
const WRONG = { 'Repr-Digest': digest('others') }
const WRONG_ATOMIC = { ...ATOMIC, ...WRONG }

describe('a write that changes nothing', () => {
  it.each([
    ['I(4/10)', 'bytes 0-3/10', 'abcd'],
    ['C(10)', 'bytes 6-9/10', 'ghij'],
  ])('to %s is neither committed nor shown to the app', async (given, range, data) => {
    const { storage, send, shown } = await serve(given)
    storage.steps.length = 0

    const answer = await send(patch(range, data))

    expect(answer.status).toBeLessThan(300)
    expect(shown).toEqual([])
    expect(storage.steps).not.toContain('commit')
    expect(storage.openWriters).toBe(0)
  })

  it('is not committed for a resource that has a Repr-Digest, which stays', async () => {
    const { storage, send, shown } = await serve('∅')
    const wanted = digest(LETTERS)
    await send(patch('bytes 0-9/10', LETTERS, { headers: { 'Repr-Digest': wanted } }))
    const before = await storage.head('a')
    shown.length = 0

    await send(patch('bytes 6-9/10', 'ghij'))

    expect(shown).toEqual([])
    expect(await storage.head('a')).toEqual(before)
    expect(before?.reprDigest).toBe(wanted)
  })
})

describe('a Repr-Digest', () => {
  it('that matches is kept with the finished resource', async () => {
    const { storage, send } = await serve('∅')
    const headers = { 'Repr-Digest': digest(LETTERS) }

    const first = await send(patch('bytes 0-3/10', 'abcd', { headers }))
    const last = await send(patch('bytes 4-9/10', 'efghij'))

    expect([first.status, last.status]).toEqual([202, 201])
    expect((await storage.head('a'))?.reprDigest).toBe(digest(LETTERS))
  })

  it('that does not match removes the upload with its earlier segments', async () => {
    const { storage, send, shown } = await serve('I(4/10)')
    const headers = { 'Repr-Digest': digest('others') }

    const answer = await send(patch('bytes 4-9/10', 'efghij', { headers }))

    expect(answer.status).toBe(409)
    expect(shown).toEqual([])
    expect(await storage.head('a')).toBeNull()
    expect(storage.openWriters).toBe(0)
  })

  it('that does not match leaves a finished resource unchanged', async () => {
    const { storage, send } = await serve('C(10)')
    const before = await storage.head('a')
    const headers = { 'Repr-Digest': digest('others') }

    const answer = await send(patch('bytes 0-0/10', 'X', { headers }))

    expect(answer.status).toBe(409)
    expect(await storage.head('a')).toEqual(before)
  })

  it.each([
    ['a PUT', put('others', { 'Repr-Digest': digest('different') })],
    ['an atomic PATCH', patch('bytes 4-9/10', 'efghij', { headers: WRONG_ATOMIC })],
    ['a multipart PATCH', multipart('bytes 4-9/10', 'efghij', WRONG)],
  ])('of %s that does not match leaves an incomplete upload unchanged', async (_name, change) => {
    const { storage, send, get } = await serve('I(4/10)')
    const before = await storage.head('a')

    const answer = await send(change)

    expect(answer.status).toBe(409)
    expect(await storage.head('a')).toEqual(before)
    expect([await get(), storage.openWriters]).toEqual(['299 abcd', 0])
  })

  it('is dropped when its bytes change', async () => {
    const { storage, send } = await serve('∅')
    const headers = { 'Repr-Digest': digest(LETTERS) }
    await send(patch('bytes 0-9/10', LETTERS, { headers }))

    await send(patch('bytes 0-0/10', 'X'))

    expect((await storage.head('a'))?.reprDigest).toBeNull()
  })

  it('is dropped when the length changes', async () => {
    const { storage, send } = await serve('∅')
    const headers = { 'Repr-Digest': digest(LETTERS) }
    await send(patch('bytes 0-9/10', LETTERS, { headers }))

    await send(patch('bytes */12'))
    const last = await send(patch('bytes 10-11/12', 'kl'))

    expect(last.status).toBe(204)
    expect((await storage.head('a'))?.reprDigest).toBeNull()
  })
})

describe('a finished upload', () => {
  it('is shown to the app once, with all of its bytes', async () => {
    const { send, shown } = await serve('I(4/10)')

    await send(patch('bytes 4-9/10', 'efghij'))

    expect(shown).toEqual([
      { key: 'a', size: 10, contentType: null, previous: null, bytes: LETTERS },
    ])
  })

  it('gives the app the range that it reads', async () => {
    const read: string[] = []
    const { send } = await serve('I(4/10)', {}, async (resource) => {
      read.push(await textOf(resource.read(2, 5)), await textOf(resource.read(8)))
      read.push(await textOf(resource.read(3, 3)))
    })

    await send(patch('bytes 4-9/10', 'efghij'))

    expect(read).toEqual(['cde', 'ij', ''])
  })

  it.each([
    ['I(4/10)', '299 abcd'],
    ['∅', '404 '],
    ['C(10)', '200 abcdefghij'],
  ])('is hidden from clients while the app checks it, after %s', async (given, seen) => {
    const others: string[] = []
    const { send, get } = await serve(given, { incompleteStatus: 299 }, async () => {
      others.push(await get())
    })

    await send(patch('bytes 0-9/10', 'ABCDEFGHIJ', { headers: { Prefer: 'transaction=atomic' } }))

    expect(others).toEqual([seen])
    expect(await get()).toBe('200 ABCDEFGHIJ')
  })

  it.each([
    ['PATCH', patch('bytes 0-0/10', 'X'), 'Xbcdefghij'],
    ['PATCH that cuts it', patch('bytes */2'), 'ab'],
    ['PUT', put('new'), 'new'],
  ])('is shown with the previous version after a %s', async (_method, change, bytes) => {
    const { storage, send, shown } = await serve('C(10)')
    const before = await storage.head('a')

    await send(change)

    expect(shown).toMatchObject([{ size: bytes.length, previous: before, bytes }])
  })

  it('is shown without a previous version when it was reopened', async () => {
    const { send, shown } = await serve('C(10)')
    await send(patch('bytes */12'))

    const answer = await send(patch('bytes 10-11/12', 'kl'))

    expect(answer.status).toBe(204)
    expect(shown).toMatchObject([{ size: 12, previous: null }])
  })
})

describe('an app that refuses a finished upload', () => {
  const refuse = (options?: { keep: boolean }) => () => {
    throw new RefusedError(422, 'not a picture', options)
  }

  it.each([
    ['I(4/10)', patch('bytes 4-9/10', 'efghij')],
    ['∅', patch('bytes 0-9/10', LETTERS)],
    ['∅', put('new')],
  ])('removes it, after %s', async (given, change) => {
    const { storage, send } = await serve(given, {}, refuse())

    const answer = await send(change)

    expect(answer.status).toBe(422)
    expect(JSON.parse(await bodyOf(answer))).toMatchObject({
      code: 'ERR_REFUSED',
      detail: 'not a picture',
    })
    expect(await storage.head('a')).toBeNull()
    expect(storage.openWriters).toBe(0)
  })

  it.each([
    ['a PUT', put('new')],
    ['an atomic PATCH', patch('bytes 4-9/10', 'efghij', { headers: ATOMIC })],
  ])('leaves an incomplete upload unchanged by %s', async (_name, change) => {
    const { storage, send } = await serve('I(4/10)', {}, refuse())
    const before = await storage.head('a')

    const answer = await send(change)

    expect(answer.status).toBe(422)
    expect(await storage.head('a')).toEqual(before)
    expect(storage.openWriters).toBe(0)
  })

  it.each([patch('bytes 0-0/10', 'X'), patch('bytes */2'), put('new')])(
    'leaves a finished resource unchanged',
    async (change) => {
      const { storage, send, get } = await serve('C(10)', {}, refuse())
      const before = await storage.head('a')

      const answer = await send(change)

      expect(answer.status).toBe(422)
      expect(await storage.head('a')).toEqual(before)
      expect(await get()).toBe('200 abcdefghij')
      expect(storage.openWriters).toBe(0)
    },
  )

  it('leaves a finished resource unchanged, whether it keeps the bytes or not', async () => {
    const { storage, send } = await serve('C(10)', {}, refuse({ keep: true }))
    const before = await storage.head('a')

    await send(patch('bytes 0-0/10', 'X'))

    expect(await storage.head('a')).toEqual(before)
  })

  it.each([
    ['I(4/10)', patch('bytes 4-9/10', 'efghij')],
    ['∅', patch('bytes 0-9/10', LETTERS)],
    ['∅', put(LETTERS)],
  ])('can keep its bytes, after %s, for a later request to finish', async (given, change) => {
    let looks = 0
    const { send, get } = await serve(given, {}, () => {
      looks += 1
      if (looks === 1) refuse({ keep: true })()
    })

    const refused = await send(change)
    expect([refused.status, await get()]).toEqual([422, '299 abcdefghij'])
    const finished = await send(patch('bytes 9-9/10', 'j'))

    expect([finished.status, await get()]).toEqual([201, '200 abcdefghij'])
    expect(looks).toBe(2)
  })
})

describe('an app that fails', () => {
  const failure = new Error('the scanner is down')

  it('leaves the bytes of an upload for the next request, which asks it again', async () => {
    let looks = 0
    const { storage, send, get } = await serve('I(4/10)', {}, () => {
      looks += 1
      if (looks === 1) throw failure
    })

    await expect(send(patch('bytes 4-9/10', 'efghij'))).rejects.toBe(failure)
    expect(storage.openWriters).toBe(0)
    expect(await get()).toBe('299 abcdefghij')
    const finished = await send(patch('bytes */10'))

    expect([finished.status, await get(), looks]).toEqual([201, '200 abcdefghij', 2])
  })

  it('leaves a finished resource unchanged', async () => {
    const { storage, send } = await serve('C(10)', {}, () => Promise.reject(failure))
    const before = await storage.head('a')

    await expect(send(patch('bytes 0-0/10', 'X'))).rejects.toBe(failure)

    expect(await storage.head('a')).toEqual(before)
    expect(storage.openWriters).toBe(0)
  })

  it('leaves nothing of an atomic upload', async () => {
    const { send, get } = await serve('I(4/10)', {}, () => Promise.reject(failure))
    const headers = { Prefer: 'transaction=atomic' }

    await expect(send(patch('bytes 4-9/10', 'efghij', { headers }))).rejects.toBe(failure)

    expect(await get()).toBe('299 abcd')
  })

  it('by an invalid final status gets an error that names it', async () => {
    const { send } = await serve('I(4/10)', {}, () => ({ status: 404 }))

    await expect(send(patch('bytes 4-9/10', 'efghij'))).rejects.toThrow(
      new TypeError('onComplete returned the status 404; to refuse, it throws RefusedError'),
    )
  })
})

describe('the final response', () => {
  it.each([
    [{ status: 200 }, 200, {}, ''],
    [{ headers: { Location: '/b' } }, 201, { Location: '/b' }, ''],
    [{ body: 'done' }, 201, { 'Content-Type': 'text/plain; charset=utf-8' }, 'done'],
    [{ body: { id: 7 } }, 201, { 'Content-Type': 'application/json' }, '{"id":7}'],
    [
      { body: Buffer.from('<p>'), headers: { 'Content-Type': 'text/html' } },
      201,
      { 'Content-Type': 'text/html' },
      '<p>',
    ],
    [{ status: 204, body: 'unsent' }, 204, {}, ''],
  ])('is the one of the app: %j', async (final, status, headers, body) => {
    const { send } = await serve('I(4/10)', {}, () => final)

    const answer = await send(patch('bytes 4-9/10', 'efghij'))

    expect(answer.status).toBe(status)
    expect(answer.headers).toMatchObject(headers)
    expect(answer.headers).toHaveProperty('ETag')
    expect(await bodyOf(answer)).toBe(body)
  })

  it('with a body is not 204 by default', async () => {
    const { send } = await serve('C(10)', {}, () => ({ body: 'changed' }))

    const answer = await send(patch('bytes 0-0/10', 'X'))

    expect([answer.status, await bodyOf(answer)]).toEqual([200, 'changed'])
  })
})

describe('a storage that fails to commit', () => {
  it('leaves the bytes of an upload, and the next request asks the app again', async () => {
    const { storage, send, get, shown } = await serve('I(4/10)')
    const failure = new Error('no')
    storage.fail('commit', failure)

    await expect(send(patch('bytes 4-9/10', 'efghij'))).rejects.toBe(failure)
    expect([await get(), storage.openWriters]).toEqual(['299 abcdefghij', 0])
    const finished = await send(patch('bytes 4-9/10', 'efghij'))

    expect([finished.status, shown.length]).toEqual([201, 2])
  })
})

type Hook = (resource: FinishedResource) => unknown

async function serve(given: string, options: Options = {}, hook: Hook = () => undefined) {
  const storage = new WatchedStorage()
  const handle = handlerFor(storage, options)
  const { kind, size, length } = parseState(given)
  if (kind !== '∅') {
    await handle(patch(`bytes 0-${size - 1}/${length ?? '*'}`, LETTERS.slice(0, size)))
  }
  const shown: object[] = []
  const hooks = {
    onComplete: async (resource: FinishedResource) => {
      const { key, contentType, previous } = resource
      const bytes = await textOf(resource.read())
      shown.push({ key, size: resource.size, contentType, previous, bytes })
      return ((await hook(resource)) ?? null) as null
    },
  }
  return {
    storage,
    shown,
    send: (change: ReturnType<typeof patch>) =>
      handle({ ...change, hooks: { ...change.hooks, ...hooks } }),
    get: async () => {
      const answer = await handle(request({ method: 'GET' }))
      return `${answer.status} ${await bodyOf(answer)}`
    },
  }
}

function multipart(range: string, data: string, fields: Readonly<Record<string, string>>) {
  const content = `--SEP\r\nContent-Range: ${range}\r\n\r\n${data}\r\n--SEP--`
  const headers = {
    'Content-Type': 'multipart/byteranges; boundary=SEP',
    'Content-Length': String(content.length),
    ...fields,
  }
  return request({ method: 'PATCH', headers, body: [content] })
}

function put(text: string, fields: Readonly<Record<string, string>> = {}) {
  const headers = { 'Content-Length': String(text.length), ...fields }
  return request({ method: 'PUT', headers, body: [text] })
}

async function textOf(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const piece of pieces) chunks.push(piece)
  return Buffer.concat(chunks).toString('latin1')
}
