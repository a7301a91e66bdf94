/** Requests that a client repeats because their answer was lost. */
import { describe, expect, it } from 'vitest'

import { field } from '../support/wire/client.ts'
import { EXPRESSES, letters, useServer } from '../support/wire/server.ts'

describe.each(EXPRESSES)('over $name', (combination) => {
  const server = useServer(combination)

  it('a segment that is sent again changes nothing', async () => {
    const path = await server.given('I(4/10)')
    await server.patch(path, 'bytes 4-5/10', 'ef')
    const before = await server.snapshot(path)

    const again = await server.patch(path, 'bytes 4-5/10', 'ef')

    expect(again.status).toBe(202)
    expect(field(again, 'etag')).toBe(before.etag)
    expect(await server.snapshot(path)).toEqual(before)
  })

  it.each(['I(4/10)', 'C(4)'])('a first segment with If-None-Match: * meets %s', async (given) => {
    const path = await server.given(given)
    const before = await server.snapshot(path)
    const total = given === 'C(4)' ? 4 : 10

    const again = await server.patch(path, `bytes 0-3/${total}`, letters(4), 'If-None-Match: *')

    expect(again.status).toBe(412)
    expect(await server.snapshot(path)).toEqual(before)
  })

  it('a last segment that is sent again is answered 204 and changes nothing', async () => {
    const path = await server.given('I(4/6)')
    const first = await server.patch(path, 'bytes 4-5/6', 'ef')
    const before = await server.snapshot(path)

    const again = await server.patch(path, 'bytes 4-5/6', 'ef')

    expect([first.status, again.status]).toEqual([201, 204])
    expect(await server.snapshot(path)).toEqual(before)
  })

  it('a last segment sent again with the entity tag of before is answered 412', async () => {
    const path = await server.given('I(4/6)')
    const tag = await server.etag(path)
    const first = await server.patch(path, 'bytes 4-5/6', 'ef', `If-Match: ${tag}`)

    const again = await server.patch(path, 'bytes 4-5/6', 'ef', `If-Match: ${tag}`)

    expect([first.status, again.status]).toEqual([201, 412])
    expect(await server.state(path)).toBe('C(6)')
  })

  it('a PUT that is sent again is answered 204', async () => {
    const path = server.path()

    const first = await server.send('PUT', path, [], 'abc')
    const again = await server.send('PUT', path, [], 'abc')

    expect([first.status, again.status]).toEqual([201, 204])
    expect((await server.snapshot(path)).bytes).toBe('abc')
  })

  it('a whole upload that a client sends again leaves the resource unchanged', async () => {
    const path = server.path()
    const run = async () => {
      const statuses: number[] = []
      for (let start = 0; start < 10; start += 3) {
        const end = Math.min(start + 3, 10)
        const data = letters(10).slice(start, end)
        const answer = await server.patch(path, `bytes ${start}-${end - 1}/10`, data)
        statuses.push(answer.status)
      }
      return statuses
    }

    const first = await run()
    const before = await server.snapshot(path)
    const again = await run()

    expect(first).toEqual([202, 202, 202, 201])
    expect(again).toEqual([204, 204, 204, 204])
    expect(await server.snapshot(path)).toEqual(before)
  })

  it('a segment from an outdated offset is accepted', async () => {
    const path = await server.given('I(8/10)')

    const answer = await server.patch(path, 'bytes 4-9/10', 'efghij')

    expect(answer.status).toBe(201)
    expect(await server.snapshot(path)).toMatchObject({ state: 'C(10)', bytes: letters(10) })
  })
})
