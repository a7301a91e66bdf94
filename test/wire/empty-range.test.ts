/** A range of no bytes, `bytes 4-3/10`: nothing is left to send. */
import { describe, expect, it } from 'vitest'

import { MESSAGE, message } from '../support/wire/client.ts'
import { BOTH, useServer } from '../support/wire/server.ts'

describe.each(BOTH)('over $name', (combination) => {
  const server = useServer(combination)

  it.each([
    ['I(4/10)', '4-3/10', 202, 'I(4/10)'],
    ['I(4/10)', '4-3/*', 202, 'I(4/10)'],
    ['I(4/*)', '4-3/*', 202, 'I(4/*)'],
    ['I(4/*)', '4-3/4', 201, 'C(4)'],
    ['C(10)', '10-9/10', 204, 'C(10)'],
    ['C(10)', '10-9/*', 204, 'C(10)'],
  ])('a resource %s answers the empty range %s with %i', async (given, range, status, then) => {
    const path = await server.given(given)
    const before = await server.snapshot(path)

    const answer = await server.patch(path, `bytes ${range}`)

    expect([answer.status, await server.state(path)]).toEqual([status, then])
    if (then === given) expect(await server.snapshot(path)).toEqual(before)
  })

  it.each([
    ['∅', '1-0/10'],
    ['∅', '0--1/10'],
    ['I(4/10)', '3-2/10'],
    ['I(4/10)', '5-4/10'],
    ['I(4/10)', '4-3/11'],
    ['I(4/10)', '4-2/10'],
    ['I(4/*)', '4-3/5'],
    ['I(0/10)', '1-0/10'],
    ['C(10)', '9-8/10'],
    ['C(10)', '10-9/11'],
    ['C(10)', '10-9/9'],
  ])('a resource %s refuses the empty range %s', async (given, range) => {
    const path = await server.given(given)
    const before = await server.snapshot(path)

    const answer = await server.patch(path, `bytes ${range}`)

    expect(answer.status).toBe(400)
    expect(await server.snapshot(path)).toEqual(before)
  })

  it('refuses an empty range with data', async () => {
    const path = await server.given('I(4/10)')

    const answer = await server.send('PATCH', path, [MESSAGE], message('bytes 4-3/10', 'x'))

    expect([answer.status, await server.state(path)]).toEqual([400, 'I(4/10)'])
  })
})
