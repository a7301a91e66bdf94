/** The resource that a path names, and paths that name none. */
import { readdir } from 'node:fs/promises'
import { dirname } from 'node:path'

import { describe, expect, it } from 'vitest'

import { MESSAGE, json, message } from '../support/wire/client.ts'
import { EXPRESSES, FS, useServer } from '../support/wire/server.ts'

describe.each(EXPRESSES)('over $name', (combination) => {
  const server = useServer(combination)

  it.each([
    ['/files/a', '/files/%61'],
    ['/files/b', '/files/b?query=1'],
    ['/files/c%20d', '/files/%63%20d'],
    ['/files/%C3%A9', '/files/%c3%a9'],
    ['/files/e/f/g.txt', '/files/e/f/g%2Etxt'],
  ])('%s names the same resource as %s', async (path, other) => {
    await server.patch(path, 'bytes 0-3/10', 'abcd')

    expect(await server.state(other)).toBe('I(4/10)')
  })

  it('a path below an upload is another resource, or is refused', async () => {
    const path = await server.given('I(4/10)')
    const isRefused = combination.store === 'fs'

    const below = await server.send('PUT', `${path}/x`, [], 'x')
    const finished = await server.patch(path, 'bytes 4-9/10', 'efghij')

    expect([below.status, finished.status]).toEqual([isRefused ? 409 : 201, 201])
    if (isRefused) expect(json(below)).toMatchObject({ code: 'ERR_KEY_CONFLICT' })
    expect(await server.state(`${path}/x`)).toBe(isRefused ? '∅' : 'C(1)')
  })

  it.each([
    ['/files/x', '/files/X'],
    ['/files/y', '/files/y.'],
    ['/files/z', '/files/z%20'],
  ])('%s is not %s', async (path, other) => {
    await server.patch(path, 'bytes 0-3/10', 'abcd')

    expect(await server.state(other)).toBe('∅')
  })

  it.each([
    '/files',
    '/files/',
    '/files/..',
    '/files/../x',
    '/files/%2e%2e/x',
    '/files/a/..%2f..%2fx',
    '/files/..%5cx',
    '/files/./x',
    '/files/a//x',
    '/files//x',
    '/files//x?query=1',
    'http://host/files//x',
    '/files/x/',
    '/files/x%00',
    '/files/x%0a',
    '/files/%ff',
    '/files/%zz',
    '/files/%',
  ])('%s names nothing to any method', async (path) => {
    const requests = [
      await server.send('GET', path),
      await server.send('HEAD', path),
      await server.send('PUT', path, [], 'abc'),
      await server.send('PATCH', path, [MESSAGE], message('bytes 0-3/4', 'abcd')),
      await server.send('DELETE', path),
    ]

    for (const { status } of requests) expect([400, 404, 405]).toContain(status)
    server.failures.splice(0)
  })
})

describe('over the file store', () => {
  const server = useServer(FS)

  it('no path leads out of the directory', async () => {
    const parent = dirname(server.directory)
    const before = await readdir(parent)

    for (const path of ['/files/../wire-out', '/files/%2e%2e%2fwire-out', '/files/..%5cwire-out']) {
      await server.send('PUT', path, [], 'abc')
    }

    expect((await readdir(parent)).filter((name) => name.includes('wire-out'))).toEqual([])
    expect(before).not.toContain('wire-out')
  })

  it('a name that is too long for a file names nothing', async () => {
    const answer = await server.send('PUT', `/files/${'x'.repeat(5000)}`, [], 'abc')

    expect(answer.status).toBe(400)
  })

  it.each([
    ['/files/one', '/files/one/two'],
    ['/files/three/four', '/files/three'],
  ])('%s and %s cannot both exist', async (first, second) => {
    await server.send('PUT', first, [], 'abc')

    const answer = await server.send('PUT', second, [], 'abc')

    expect(answer.status).toBe(409)
    expect(await server.state(first)).toBe('C(3)')
  })
})
