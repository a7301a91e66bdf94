import { STATUS_CODES } from 'node:http'

import { describe, expect, it } from 'vitest'

import { ERRORS, UploadError, type ErrorCode } from '../src/errors.ts'
import { RefusedError } from '../src/hooks.ts'
import { problemResponse } from '../src/server/problem.ts'

describe('the table of errors', () => {
  it('has only 4xx and 5xx statuses, and meanings that are sentences', () => {
    const wrong = Object.entries(ERRORS).filter(
      ([code, [status, meaning]]) =>
        !/^ERR_[A-Z_]+$/.test(code) ||
        status < 400 ||
        status > 599 ||
        !/^[A-Z].*[^.]$/.test(meaning),
    )

    expect(wrong).toEqual([])
  })

  it('gives each code a meaning of its own', () => {
    const meanings = Object.values(ERRORS).map(([, meaning]) => meaning)

    expect(new Set(meanings).size).toBe(meanings.length)
  })
})

describe('an UploadError', () => {
  it.each(Object.keys(ERRORS) as ErrorCode[])('%s has the status of its row', (code) => {
    const error = new UploadError(code, { detail: 'what was found' })

    expect(error).toMatchObject({
      name: 'UploadError',
      message: 'what was found',
      code,
      status: ERRORS[code][0],
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
  it('has the members of RFC 9457, the code, and those of the error', () => {
    const error = new UploadError('ERR_FIELD', {
      detail: 'expected a date',
      headers: { 'Retry-After': '1' },
      members: { limit: 4 },
      cause: new Error('secret'),
    })

    const { status, headers } = problemResponse(error)

    expect({ status, headers }).toEqual({
      status: 400,
      headers: {
        'Content-Type': 'application/problem+json',
        'Cache-Control': 'no-store',
        'Retry-After': '1',
      },
    })
    expect(documentOf(error)).toEqual({
      type: 'about:blank',
      title: 'Bad Request',
      status: 400,
      detail: 'A request field is malformed: expected a date',
      code: 'ERR_FIELD',
      limit: 4,
    })
  })

  it.each([
    ['ERR_GAP', 'mismatching-upload-offset', 'Mismatching Upload Offset'],
    ['ERR_CONTENT_DIGEST', 'digest-mismatched-values', 'Mismatched Digest Values'],
    ['ERR_REPR_DIGEST', 'digest-mismatched-values', 'Mismatched Digest Values'],
  ] as const)('of %s has the registered type %s', (code, type, title) => {
    expect(documentOf(new UploadError(code, { detail: 'x' }))).toMatchObject({
      type: `https://iana.org/assignments/http-problem-types#${type}`,
      title,
    })
  })

  it.each(Object.keys(ERRORS) as ErrorCode[])(
    'of %s has a registered type or is about:blank with the phrase of its status',
    (code) => {
      const { type, title, status } = documentOf(new UploadError(code, { detail: 'x' }))

      expect(type === 'about:blank' ? title : STATUS_CODES[status]).toBe(STATUS_CODES[status])
      expect(type).toMatch(/^about:blank$|^https:\/\/iana\.org\/assignments\/http-problem-types#/)
    },
  )

  it('of a refusal has only the text of the app', () => {
    expect(documentOf(new RefusedError(403, 'sign in'))).toMatchObject({
      title: 'Forbidden',
      detail: 'sign in',
    })
  })
})

function documentOf(error: UploadError) {
  const { body } = problemResponse(error)
  return JSON.parse(body as string) as { type: string; title: string; status: number }
}
