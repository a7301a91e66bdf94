import { readFileSync, readdirSync } from 'node:fs'
import type { Server } from 'node:http'
import path from 'node:path'

import { memoryStorage } from 'partial-upload/storage/memory'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { CORS, createApp } from '../../examples/cors.ts'
import { portOf, serve, stop } from '../support/examples/serve.ts'

/** Fields that every page can read (Fetch Standard, "CORS-safelisted response-header name"). */
const SAFELISTED = ['content-length', 'content-type']
/** Fields that a page of an app reads, whatever the client does. */
const FOR_PAGES = ['content-disposition', 'repr-digest', 'upload-length']

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
  expect(preflight.headers.get('access-control-allow-origin')).toBe('https://app.example')
  expect(preflight.headers.get('access-control-allow-methods')?.split(',')).toContain('PATCH')
  expect(preflight.headers.get('access-control-allow-headers')).toBe('content-type,if-match,prefer')
})

test('lets the page read a refusal', async () => {
  const refused = await send('PATCH', { 'Content-Type': 'text/plain' }, 'hello')

  expect(refused.status).toBe(415)
  expect(refused.headers.get('access-control-allow-origin')).toBe('https://app.example')
})

test('exposes the fields that the client and pages read, and no others', () => {
  const folder = path.join(import.meta.dirname, '../../src/client')
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !/(?:node|redirect)\.ts$/.test(name),
  )
  const code = files.map((name) => readFileSync(path.join(folder, name), 'utf8'))
  const read = code.join('').matchAll(/(?<!request\.)\bheaders\??\.(?:get|has)\('([^']+)'\)/g)
  const fields = new Set([...read].map(([, name = '']) => name.toLowerCase()))

  const exposed = [CORS.exposedHeaders ?? []].flat().map((name) => name.toLowerCase())
  expect(new Set([...fields, ...FOR_PAGES])).toEqual(new Set([...SAFELISTED, ...exposed]))
})

async function send(
  method: string,
  headers: Record<string, string> = {},
  body: string | null = null,
): Promise<Response> {
  const url = `http://127.0.0.1:${portOf(server)}/files/a`
  return fetch(url, { method, headers: { Origin: 'https://app.example', ...headers }, body })
}
