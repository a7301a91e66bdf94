/**
 * The example that keeps a row for each file: after an error of the database, and after a removal.
 */
import { once } from 'node:events'
import type { Server } from 'node:http'

import { memoryStorage } from 'partial-upload/storage/memory'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { createApp, type FileRow, type FileTable } from '../../examples/published.ts'
import { portOf, serve, stop } from '../support/examples/serve.ts'

class Table implements FileTable {
  readonly rows = new Map<string, FileRow>()
  isAway = false

  async save(row: FileRow): Promise<void> {
    if (this.isAway) throw new Error('the database is away')
    this.rows.set(row.key, row)
  }

  async remove(key: string): Promise<void> {
    this.rows.delete(key)
  }
}

let table: Table
let server: Server

beforeEach(async () => {
  table = new Table()
  server = await serve(createApp(memoryStorage(), table))
})

afterEach(() => stop(server))

const url = () => `http://127.0.0.1:${portOf(server)}/files/a`
const put = (body: string) => fetch(url(), { method: 'PUT', body })

test('has a row for each file, and none after its removal', async () => {
  const first = await put('abc')
  const row = table.rows.get('a')
  await put('abcd')
  const second = table.rows.get('a')
  await fetch(url(), { method: 'DELETE' })

  expect(row).toEqual({ key: 'a', size: 3, etag: first.headers.get('etag') })
  expect([second?.size, table.rows.size]).toEqual([4, 0])
})

test('saves the row later if the database is unavailable', async () => {
  table.isAway = true
  const warned = once(process, 'warning')
  const answer = await put('abc')
  await warned
  const before = [...table.rows.values()]
  table.isAway = false

  await expect.poll(() => table.rows.get('a')?.etag).toBe(answer.headers.get('etag'))
  expect([answer.status, before]).toEqual([201, []])
})
