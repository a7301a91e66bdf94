/**
 * A short storage adapter. It keeps immutable values in a `Map`, which stands for any service that can
 * get, set and delete values. An app passes it as `partialUpload({ storage: mapStorage(new Map()) })`.
 *
 * It applies each write as a whole or not at all (atomic), so that an interrupted `PATCH` stores
 * nothing.
 */

import { randomUUID } from 'node:crypto'

import {
  UploadError,
  type OpenWriterOptions,
  type ResourceInfo,
  type StorageAdapter,
  type Writer,
} from 'partial-upload'

export interface Value {
  readonly info: ResourceInfo
  readonly bytes: Buffer
}

export function mapStorage(values: Map<string, Value>): StorageAdapter {
  return {
    async head(key) {
      return values.get(key)?.info ?? null
    },
    async openReader(key) {
      const value = values.get(key)
      if (value === undefined) return null
      const read = (start: number, end: number) => once(value.bytes.subarray(start, end))
      return { info: value.info, read, async close() {} }
    },
    async openWriter(key, options) {
      return openWriter(values, key, options)
    },
    async remove(key, { isLost } = {}) {
      if (isLost?.() === true) throw new Error('another process has the lock')
      return values.delete(key)
    },
  }
}

function openWriter(values: Map<string, Value>, key: string, options: OpenWriterOptions): Writer {
  const base = values.get(key)
  let bytes = (options.replace ? undefined : base?.bytes) ?? Buffer.alloc(0)
  let ended = false
  const assertOpen = () => {
    if (ended) throw new Error('the writer has ended')
    if (options.isLost?.() === true) throw new Error('another process has the lock')
  }
  const end = async () => {
    ended = true
  }
  return {
    base: base?.info ?? null,
    transaction: 'atomic',
    async write(position, chunks) {
      assertOpen()
      const patch = Buffer.concat(chunks)
      if (patch.length === 0) return
      const next = Buffer.alloc(Math.max(bytes.length, position + patch.length))
      bytes.copy(next)
      patch.copy(next, position)
      bytes = next
    },
    async truncate(size) {
      assertOpen()
      if (size > bytes.length) throw new RangeError(`${bytes.length} bytes, expected ${size}`)
      bytes = bytes.subarray(0, size)
    },
    read: (start, end) => once(bytes.subarray(start, end)),
    async commit(state) {
      assertOpen()
      if (values.get(key) !== base) {
        throw new UploadError('ERR_CONFLICT', { detail: 'the resource has changed' })
      }
      const version = { size: bytes.length, etag: `"${randomUUID()}"`, lastModified: new Date() }
      const info = { ...state, ...version }
      values.set(key, { info, bytes })
      await end()
      return info
    },
    keep: end,
    rollback: end,
  }
}

async function* once(bytes: Buffer): AsyncIterable<Uint8Array> {
  yield bytes
}
