import type { Server } from 'node:http'

import { memoryStorage } from 'partial-upload/storage/memory'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { createApp } from '../../examples/cors.ts'
import { portOf, serve, stop } from './serve.ts'

let server: Server

beforeAll(async () => {
  server = await serve(createApp(memoryStorage()))
})

afterAll(() => stop(server))

test('lets a page of the other origin ask and upload', async () => {
  const preflight = await send('OPTIONS', {
    Origin: 'https://app.example',
    'Access-Control-Request-Method': 'PATCH',
    'Access-Control-Request-Headers': 'content-type,if-match,prefer',
  })

  expect(preflight.status).toBe(204)
  expect(preflight.headers.get('access-control-allow-methods')?.split(', ')).toContain('PATCH')
  expect(preflight.headers.get('access-control-allow-headers')?.split(', ')).toEqual(
    expect.arrayContaining(['Content-Type', 'If-Match', 'Prefer']),
  )
})

test('lets the page read every field that it needs', async () => {
  const created = await send(
    'PATCH',
    { 'Content-Type': 'message/byteranges' },
    'Content-Range: bytes 0-4/10\r\n\r\nhello',
  )
  const head = await send('HEAD')
  const options = await send('OPTIONS')
  const refused = await send('POST')

  const exposed = head.headers.get('access-control-expose-headers')?.split(', ') ?? []
  const readable = ['cache-control', 'content-length', 'content-type', 'last-modified', ...exposed]
  const sent = [created, head, options, refused].flatMap(({ headers }) => [...headers.keys()])
  const hidden = sent.filter((name) => !readable.some((other) => other.toLowerCase() === name))
  expect(new Set(hidden.filter((name) => !name.startsWith('access-control-')))).toEqual(
    new Set([
      'connection',
      'content-security-policy',
      'date',
      'keep-alive',
      'x-content-type-options',
      'x-powered-by',
    ]),
  )
})

async function send(
  method: string,
  headers: Record<string, string> = {},
  body: string | null = null,
): Promise<Response> {
  const url = `http://127.0.0.1:${portOf(server)}/files/a`
  return fetch(url, { method, headers: { Origin: 'https://app.example', ...headers }, body })
}
