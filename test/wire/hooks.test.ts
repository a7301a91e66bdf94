/** The hooks of the app, and their effect on the answers. */
import { RefusedError, UploadError } from 'partial-upload'
import { describe, expect, it } from 'vitest'

import { MESSAGE, field, json, message } from '../support/wire/client.ts'
import { MEMORY, useServer } from '../support/wire/server.ts'

describe('onComplete', () => {
  const finished: string[] = []
  const server = useServer(MEMORY, {
    onComplete: (req) => {
      finished.push(req.url)
      if (req.url.includes('refused')) throw new UploadError('ERR_REFUSED', { detail: 'no' })
    },
  })

  it('runs once per completion, and not for segments or repetitions', async () => {
    await server.patch('/files/once', 'bytes 0-3/6', 'abcd')
    await server.patch('/files/once', 'bytes 4-5/6', 'ef')
    await server.patch('/files/once', 'bytes 4-5/6', 'ef')
    await server.patch('/files/once', 'bytes 0-5/6', 'abcdef')
    await server.patch('/files/once', 'bytes */6')

    expect(finished.filter((url) => url.includes('once'))).toHaveLength(1)
  })

  it('removes the upload that it refuses', async () => {
    await server.patch('/files/refused', 'bytes 0-3/6', 'abcd')

    const answer = await server.patch('/files/refused', 'bytes 4-5/6', 'ef')

    expect(json(answer)).toMatchObject({ status: 422, detail: 'no' })
    expect(await server.state('/files/refused')).toBe('∅')
  })
})

describe('onCreate', () => {
  const created: string[] = []
  const server = useServer(MEMORY, {
    onCreate: (req) => {
      created.push(req.url)
      if (req.url.includes('refused')) throw new UploadError('ERR_REFUSED', { detail: 'no' })
    },
  })

  it('runs when the resource is created, and not for later segments', async () => {
    await server.patch('/files/once', 'bytes 0-3/6', 'abcd')
    await server.patch('/files/once', 'bytes 4-5/6', 'ef')

    expect(created.filter((url) => url.includes('once'))).toHaveLength(1)
  })

  it.each(['PATCH', 'PUT'])('keeps a refused %s from storing anything', async (method) => {
    const [fields, body] =
      method === 'PUT' ? [[], 'abcd'] : [[MESSAGE], message('bytes 0-3/6', 'abcd')]

    const answer = await server.send(method, '/files/refused', fields, body)

    expect(answer.status).toBe(422)
    expect(await server.state('/files/refused')).toBe('∅')
  })
})

describe('an onComplete that refuses once', () => {
  let refusals = 1
  const server = useServer(MEMORY, {
    onComplete: () => {
      refusals -= 1
      if (refusals >= 0) throw new RefusedError(403, 'not yet', { keep: true })
    },
  })

  it('can keep the bytes, and is called again when the client resumes', async () => {
    const path = await server.given('I(4/6)')

    const refused = await server.patch(path, 'bytes 4-5/6', 'ef')
    const state = await server.state(path)
    const again = await server.patch(path, 'bytes 4-5/6', 'ef')

    expect([refused.status, state, again.status]).toEqual([403, 'I(6/6)', 201])
    expect(await server.snapshot(path)).toMatchObject({ state: 'C(6)', bytes: 'abcdef' })
  })
})

describe('an onComplete that answers', () => {
  const server = useServer(MEMORY, {
    onComplete: async (_req, { size }) => ({
      status: 200,
      headers: { Location: '/elsewhere' },
      body: { size },
    }),
  })

  it('sets the final response', async () => {
    const path = await server.given('I(4/6)')

    const answer = await server.patch(path, 'bytes 4-5/6', 'ef')

    expect([answer.status, field(answer, 'location')]).toEqual([200, '/elsewhere'])
    expect(json(answer)).toEqual({ size: 6 })
  })
})

describe('a hook that fails', () => {
  const server = useServer(MEMORY, {
    onCreate: () => {
      throw new Error('out of order')
    },
  })

  it('is an error of the app, and blocks no other request', async () => {
    const path = server.path()

    const first = await server.patch(path, 'bytes 0-3/6', 'abcd')
    const second = await server.patch(path, 'bytes 0-3/6', 'abcd')

    expect([first.status, second.status]).toEqual([500, 500])
    expect(await server.state(path)).toBe('∅')
    expect(server.failures.splice(0)).toHaveLength(2)
  })
})
