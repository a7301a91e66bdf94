/** The example that adds an event to a span. */
import { partialUpload } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import express from 'express'
import { expect, test } from 'vitest'

import { traceUploads } from '../../examples/tracing.ts'
import { portOf, serve, stop } from '../support/examples/serve.ts'

test('adds an event for each file', async () => {
  const events: unknown[] = []
  traceUploads(() => ({ addEvent: (...event) => events.push(event) }))
  const app = express().use('/files', partialUpload({ storage: memoryStorage() }))
  const server = await serve(app)
  const url = `http://127.0.0.1:${portOf(server)}/files/a`

  const answer = await fetch(url, { method: 'PUT', body: 'abc' })
  await fetch(url, { method: 'DELETE' })
  await stop(server)

  const attributes = { key: 'a', size: 3, etag: answer.headers.get('etag') }
  expect(events).toEqual([
    ['partial-upload:published', attributes],
    ['partial-upload:removed', attributes],
  ])
})
