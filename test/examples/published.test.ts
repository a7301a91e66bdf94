/** The example that keeps a row for each file: after an error, after a crash, after a removal. */
import { once } from 'node:events'
import type { Server } from 'node:http'

import type { StorageAdapter } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { createApp, recover, type FileRow, type FileTables } from '../../examples/published.ts'
import { portOf, serve, stop } from '../support/examples/serve.ts'

class Tables implements FileTables {
  readonly rows = new Map<string, FileRow>()
  readonly awaited = new Set<string>()
  isAway = false

  async expect(key: string): Promise<void> {
    this.awaited.add(key)
  }

  async expected(): Promise<readonly string[]> {
    return [...this.awaited]
  }

  async save(row: FileRow): Promise<void> {
    if (this.isAway) throw new Error('the database is away')
    this.rows.set(row.key, row)
    this.awaited.delete(row.key)
  }

  async remove(key: string): Promise<void> {
    this.rows.delete(key)
  }
}

let storage: StorageAdapter
let tables: Tables
let server: Server

beforeEach(async () => {
  storage = memoryStorage()
  tables = new Tables()
  server = await serve(createApp(storage, tables))
})

afterEach(() => stop(server))

const url = () => `http://127.0.0.1:${portOf(server)}/files/a`
const put = (body: string) => fetch(url(), { method: 'PUT', body })

test('has a row for each file, and none after its removal', async () => {
  const first = await put('abc')
  const row = tables.rows.get('a')
  await put('abcd')
  const second = tables.rows.get('a')
  await fetch(url(), { method: 'DELETE' })

  expect(row).toEqual({ key: 'a', size: 3, etag: first.headers.get('etag') })
  expect(second?.size).toBe(4)
  expect([tables.rows.size, tables.awaited.size]).toEqual([0, 0])
})

test('saves the row of a file that was published without it when it starts again', async () => {
  tables.isAway = true
  const warned = once(process, 'warning')
  const answer = await put('abc')
  await warned
  const before = [...tables.rows.values()]
  tables.isAway = false

  await recover(storage, tables)

  expect([answer.status, before]).toEqual([201, []])
  expect(tables.rows.get('a')).toMatchObject({ size: 3, etag: answer.headers.get('etag') })
  expect(tables.awaited.size).toBe(0)
})

test('saves no row of a file that was not published', async () => {
  await tables.expect('a')

  await recover(storage, tables)

  expect(tables.rows.size).toBe(0)
})
