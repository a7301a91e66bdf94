/** What onComplete returns is checked before the file is published. */
import { describe, expect, it } from 'vitest'

import type { FinalResponse } from 'partial-upload'

import { BOTH, useServer } from '../support/wire/server.ts'

const CIRCULAR: { self?: unknown } = {}
CIRCULAR.self = CIRCULAR

const WRONG: readonly (readonly [string, unknown])[] = [
  ['a status of 500', { status: 500 }],
  ['a status of NaN', { status: Number.NaN }],
  ['a text as status', { status: '201' }],
  ['a field with a line end', { headers: { Location: '/a\r\nSet-Cookie: b' } }],
  ['a field with a letter beyond Latin-1', { headers: { 'X-Name': '€' } }],
  ['a field name with a space', { headers: { 'X Name': 'a' } }],
  ['a field that is undefined', { headers: { Location: undefined } }],
  ['a field that frames the message', { headers: { 'transfer-encoding': 'chunked' } }],
  ['a body with a BigInt', { body: { id: 1n } }],
  ['a body that contains itself', { body: CIRCULAR }],
  ['a function as body', { body: () => 'text' }],
  ['a body that fails to become JSON', { body: { toJSON: () => undefined } }],
  ['a text', 'text'],
]

describe.each(BOTH)('over $name', (combination) => {
  let final: unknown = null
  let calls = 0
  const server = useServer(combination, {
    onComplete: () => {
      calls += 1
      return final as FinalResponse
    },
  })

  it.each(WRONG)('%s leaves the upload to be finished by another request', async (_what, value) => {
    const path = await server.given('I(4/10)')
    calls = 0
    final = value

    const failed = await server.patch(path, 'bytes 4-9/10', 'efghij')

    expect([failed.status, await server.state(path), calls]).toEqual([500, 'I(10/10)', 1])
    expect(server.failures.splice(0)).toHaveLength(1)
    final = { status: 201, body: 'done' }
    const repeated = await server.patch(path, 'bytes */10')
    expect([repeated.status, repeated.body.toString(), calls]).toEqual([201, 'done', 2])
  })

  it.each(WRONG)('%s leaves a finished file unchanged', async (_what, value) => {
    final = null
    const path = await server.given('C(10)')
    const before = await server.snapshot(path)
    final = value

    const failed = await server.send('PUT', path, [], 'other')

    expect(failed.status).toBe(500)
    expect(server.failures.splice(0)).toHaveLength(1)
    expect(await server.snapshot(path)).toEqual(before)
  })
})
