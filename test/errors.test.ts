import { describe, expect, it } from 'vitest'

import { ERRORS, UploadError, type ErrorCode } from '../src/errors.ts'
import { problemResponse } from '../src/protocol/problem.ts'

describe('the table of errors', () => {
  it('has only statuses of errors, and titles that are sentences', () => {
    const wrong = Object.entries(ERRORS).filter(
      ([code, [status, title]]) =>
        !/^ERR_[A-Z_]+$/.test(code) || status < 400 || status > 599 || !/^[A-Z].*[^.]$/.test(title),
    )

    expect(wrong).toEqual([])
  })

  it('gives each code a title of its own', () => {
    const titles = Object.values(ERRORS).map(([, title]) => title)

    expect(new Set(titles).size).toBe(titles.length)
  })
})

describe('an UploadError', () => {
  it.each(Object.keys(ERRORS) as ErrorCode[])('%s has the status and title of its row', (code) => {
    const error = new UploadError(code, { detail: 'what was found' })

    expect(error).toMatchObject({
      name: 'UploadError',
      message: 'what was found',
      code,
      status: ERRORS[code][0],
      title: ERRORS[code][1],
      headers: {},
      members: {},
    })
    expect('cause' in error).toBe(false)
  })

  it('can have another status, fields, members and a cause', () => {
    const cause = new Error('why')
    const given = { status: 416, headers: { Allow: 'GET' }, members: { received: 1 } }

    const error = new UploadError('ERR_GAP', { detail: 'a gap', cause, ...given })

    expect(error).toMatchObject({ ...given, cause })
  })
})

describe('a problem document', () => {
  it('tells what RFC 9457 asks for, the code, and the members', () => {
    const error = new UploadError('ERR_GAP', {
      detail: 'a gap',
      headers: { 'Retry-After': '1' },
      members: { 'expected-offset': 4 },
      cause: new Error('secret'),
    })

    const { status, headers, body } = problemResponse(error)

    expect({ status, headers }).toEqual({
      status: 409,
      headers: {
        'Content-Type': 'application/problem+json',
        'Cache-Control': 'no-store',
        'Retry-After': '1',
      },
    })
    expect(JSON.parse(Buffer.from(body as Uint8Array | string).toString())).toEqual({
      type: 'about:blank',
      title: 'The range begins beyond the end of the resource',
      status: 409,
      detail: 'a gap',
      code: 'ERR_GAP',
      'expected-offset': 4,
    })
  })
})
