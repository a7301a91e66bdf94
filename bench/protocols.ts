import { randomBytes } from 'node:crypto'

import type { Connection, Content } from './connection.ts'

/** How a contestant is spoken to. */
export interface Protocol {
  /** Uploads `size` bytes in one body. */
  upload(connection: Connection, name: string, size: number): Promise<void>
  /** What a protocol with segments has besides. */
  readonly resumable?: Resumable
}

/** An upload in segments. */
export interface Resumable {
  /** Begins an upload of `size` bytes; resolves with its request target. */
  begin(connection: Connection, name: string, size: number): Promise<string>
  /** Uploads the bytes `start` to `end` (exclusive) of `size`. */
  segment(connection: Connection, target: string, range: Range, size: number): Promise<void>
  /** Fields that a HEAD request carries. */
  readonly headFields: Readonly<Record<string, string>>
  /** Status of HEAD while the upload is incomplete. */
  readonly headStatus: number
}

interface Range {
  readonly start: number
  readonly end: number
}

const PART_SIZE = 1024 * 1024
/** Sent again and again. Random, so that neither a file system nor a search gets it too easily. */
const BLOCK = randomBytes(PART_SIZE)

const patchSegments: Resumable = {
  async begin(_connection, name) {
    return `/files/${name}`
  },
  async segment(connection, target, range, size) {
    await connection.exchange({
      method: 'PATCH',
      target,
      fields: { 'Content-Type': 'message/byteranges' },
      content: message(range, size),
      expect: range.end < size ? 202 : 201,
    })
  },
  headFields: {},
  headStatus: 299,
}

const messageByteranges: Protocol = {
  async upload(connection, name, size) {
    await patchSegments.segment(connection, `/files/${name}`, { start: 0, end: size }, size)
  },
  resumable: patchSegments,
}

const multipartByteranges: Protocol = {
  async upload(connection, name, size) {
    await connection.exchange({
      method: 'PATCH',
      target: `/files/${name}`,
      fields: { 'Content-Type': 'multipart/byteranges; boundary=THIS_STRING_SEPARATES' },
      content: multipart(size),
      expect: 201,
    })
  },
}

const TUS_FIELDS = { 'Tus-Resumable': '1.0.0' }

const tusSegments: Resumable = {
  async begin(connection, _name, size) {
    const { head } = await connection.exchange({
      method: 'POST',
      target: '/files',
      fields: { ...TUS_FIELDS, 'Upload-Length': size },
      content: { size: 0, chunks: [] },
      expect: 201,
    })
    const location = /\r\nlocation: (\S+)/i.exec(head)?.[1]
    if (location === undefined) throw new Error(`no Location:\n${head}`)
    return location
  },
  async segment(connection, target, { start, end }) {
    await connection.exchange({
      method: 'PATCH',
      target,
      fields: {
        ...TUS_FIELDS,
        'Content-Type': 'application/offset+octet-stream',
        'Upload-Offset': start,
      },
      content: data(end - start),
      expect: 204,
    })
  },
  headFields: TUS_FIELDS,
  headStatus: 200,
}

const tus: Protocol = {
  async upload(connection, name, size) {
    const target = await tusSegments.begin(connection, name, size)
    await tusSegments.segment(connection, target, { start: 0, end: size }, size)
  },
  resumable: tusSegments,
}

const formData: Protocol = {
  async upload(connection, name, size) {
    await connection.exchange({
      method: 'POST',
      target: '/files',
      fields: { 'Content-Type': 'multipart/form-data; boundary=THIS_STRING_SEPARATES' },
      content: framed(
        '--THIS_STRING_SEPARATES\r\n' +
          `Content-Disposition: form-data; name="file"; filename="${name}"\r\n` +
          'Content-Type: application/octet-stream\r\n\r\n',
        data(size),
        '\r\n--THIS_STRING_SEPARATES--\r\n',
      ),
      expect: 201,
    })
  },
}

const put: Protocol = {
  async upload(connection, name, size) {
    const target = `/files/${name}`
    await connection.exchange({ method: 'PUT', target, content: data(size), expect: 204 })
  },
  resumable: {
    async begin(_connection, name) {
      return `/files/${name}`
    },
    async segment(connection, target, { start, end }) {
      await connection.exchange({
        method: 'PATCH',
        target,
        content: data(end - start),
        expect: 204,
      })
    },
    headFields: {},
    headStatus: 200,
  },
}

/** All protocols by name. */
export const PROTOCOLS = { messageByteranges, multipartByteranges, tus, formData, put }

/** A name in `PROTOCOLS`. */
export type ProtocolName = keyof typeof PROTOCOLS

/** A `message/byteranges` document. */
function message({ start, end }: Range, size: number): Content {
  return framed(`Content-Range: bytes ${start}-${end - 1}/${size}\r\n\r\n`, data(end - start), '')
}

/** A `multipart/byteranges` document with parts of 1 MiB. */
function multipart(size: number): Content {
  const chunks: Uint8Array[] = []
  for (let start = 0; start < size; start += PART_SIZE) {
    const end = Math.min(size, start + PART_SIZE)
    const delimiter = '\r\n--THIS_STRING_SEPARATES\r\n'
    chunks.push(Buffer.from(`${delimiter}Content-Range: bytes ${start}-${end - 1}/${size}\r\n\r\n`))
    chunks.push(BLOCK.subarray(0, end - start))
  }
  chunks.push(Buffer.from('\r\n--THIS_STRING_SEPARATES--\r\n'))
  return { size: sizeOf(chunks), chunks }
}

function framed(before: string, content: Content, after: string): Content {
  const chunks = [Buffer.from(before), ...content.chunks, Buffer.from(after)]
  return { size: before.length + content.size + after.length, chunks }
}

function data(size: number): Content {
  const chunks = Array<Uint8Array>(Math.floor(size / PART_SIZE)).fill(BLOCK)
  const rest = size % PART_SIZE
  if (rest > 0) chunks.push(BLOCK.subarray(0, rest))
  return { size, chunks }
}

function sizeOf(chunks: readonly Uint8Array[]): number {
  let size = 0
  for (const { byteLength } of chunks) size += byteLength
  return size
}
