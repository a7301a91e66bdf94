/** Laws that patches obey in any state: repeated, cut in two, one after the other, in any order. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { MESSAGE, MULTIPART, message, multipart } from '../support/wire/client.ts'
import { contentRange, type ModelPart } from '../support/wire/model.ts'
import { FS, useServer, type Snapshot, type TestServer } from '../support/wire/server.ts'

const RUNS = 25

const given = fc.constantFrom('∅', 'I(0/10)', 'I(4/10)', 'I(4/*)', 'C(0)', 'C(4)', 'C(10)')
const data = (minLength: number) =>
  fc.string({ unit: fc.constantFrom('a', 'b', 'X'), minLength, maxLength: 6 })
const part = (minLength: number): fc.Arbitrary<ModelPart> =>
  fc
    .record({
      first: fc.constantFrom(0, 0, 1, 2, 4, 4, 8, 10, 11),
      data: data(minLength),
      total: fc.constantFrom(null, 10, 10, 12, 'end' as const),
    })
    .filter(
      ({ first, data: { length }, total }) => typeof total !== 'number' || first + length <= total,
    )
    .map(({ total, ...rest }) => {
      return { ...rest, total: total === 'end' ? rest.first + rest.data.length : total }
    })

describe('in any state', () => {
  const server = useServer(FS)

  it('a patch that is repeated changes nothing', async () => {
    const law = fc.asyncProperty(given, part(1), fc.boolean(), async (state, one, isMessage) => {
      const path = await server.given(state)

      const first = await send(server, path, [one], isMessage)
      const before = await server.snapshot(path)
      const again = await send(server, path, [one], isMessage)

      expect(await server.snapshot(path)).toEqual(before)
      expect(again).toBe(first === 201 ? 204 : first)
    })
    await fc.assert(law, { numRuns: RUNS })
  })

  it('a prefix and then the rest have the effect of the whole', async () => {
    const law = fc.asyncProperty(given, part(2), fc.nat(), async (state, whole, seed) => {
      const at = 1 + (seed % (whole.data.length - 1))
      const prefix = { ...whole, data: whole.data.slice(0, at) }
      const rest = { ...whole, first: whole.first + at, data: whole.data.slice(at) }
      const [once, twice] = [await server.given(state), await server.given(state)]

      const status = await send(server, once, [whole], true)
      fc.pre(status < 300)
      const [begun, ended] = [
        await send(server, twice, [prefix], true),
        await send(server, twice, [rest], true),
      ]

      expect(await content(server, twice)).toEqual(await content(server, once))
      expect(begun).toBeLessThan(300)
      // A part that ends within what is stored can have completed it.
      expect(begun === 201 ? 201 : ended).toBe(status)
    })
    await fc.assert(law, { numRuns: RUNS })
  })

  it('an accepted document of several parts has the effect of as many requests', async () => {
    const law = fc.asyncProperty(given, parts(), async (state, list) => {
      const [once, singly] = [await server.given(state), await server.given(state)]
      const before = await content(server, once)

      const status = await send(server, once, list, false)
      // In a document a later part may fill a gap, which a request of its own can't leave.
      fc.pre(status >= 300 || !hasGap(list, before.bytes.length))
      const statuses: number[] = []
      for (const one of list) statuses.push(await send(server, singly, [one], true))

      const after = await content(server, once)
      const isAccepted = status < 300
      expect(after).toEqual(isAccepted ? await content(server, singly) : before)
      if (isAccepted) expect(Math.max(...statuses)).toBeLessThan(300)
    })
    await fc.assert(law, { numRuns: RUNS })
  })

  it('parts that do not overlap, within what is stored, may come in any order', async () => {
    const law = fc.asyncProperty(
      fc.constantFrom('I(4/10)', 'I(4/*)', 'C(4)', 'C(10)'),
      fc.shuffledSubarray([0, 1, 2, 3], { minLength: 1 }),
      async (state, order) => {
        const [ordered, shuffled] = [await server.given(state), await server.given(state)]
        const toParts = (firsts: readonly number[]) =>
          firsts.map((first) => ({ first, data: 'WXYZ'[first]!, total: null }))

        const status = await send(server, ordered, toParts(order.toSorted((a, b) => a - b)), false)
        const other = await send(server, shuffled, toParts(order), false)

        expect([status, await content(server, ordered)]).toEqual([
          other,
          await content(server, shuffled),
        ])
        expect(status).toBeLessThan(300)
      },
    )
    await fc.assert(law, { numRuns: RUNS })
  })
})

/** Parts of one total, each where the one before ends, or over it. */
function parts(): fc.Arbitrary<readonly ModelPart[]> {
  return fc
    .record({
      first: fc.constantFrom(0, 0, 2, 4, 4, 8),
      pieces: fc.array(fc.tuple(data(1), fc.constantFrom(0, 0, -1, -2, 1)), {
        minLength: 1,
        maxLength: 4,
      }),
      total: fc.constantFrom(null, null, 24),
    })
    .map(({ first, pieces, total }) => {
      let at = first
      return pieces.map(([piece, distance]) => {
        const start = Math.max(0, at + distance)
        at = start + piece.length
        return { first: start, data: piece, total }
      })
    })
}

/** Whether a part begins beyond the end of what the parts before have made of `size` bytes. */
function hasGap(list: readonly ModelPart[], size: number): boolean {
  let end = size
  return list.some(({ first, data: { length } }) => {
    const isBeyond = first > end
    end = Math.max(end, first + length)
    return isBeyond
  })
}

async function send(
  server: TestServer,
  path: string,
  list: readonly ModelPart[],
  isMessage: boolean,
): Promise<number> {
  const documents = list.map((one) => [contentRange(one), one.data] as const)
  const answer = isMessage
    ? await server.send('PATCH', path, [MESSAGE], message(...documents[0]!))
    : await server.send('PATCH', path, [MULTIPART], multipart(...documents))
  return answer.status
}

async function content(
  server: TestServer,
  path: string,
): Promise<Pick<Snapshot, 'state' | 'bytes'>> {
  const { state, bytes } = await server.snapshot(path)
  return { state, bytes }
}
