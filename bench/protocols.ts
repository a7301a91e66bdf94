import { randomBytes } from 'node:crypto'

import type { Connection, Content } from './connection.ts'

/** The protocol of a contestant. */
export interface Protocol {
  /** Uploads `size` bytes in one body. */
  upload(connection: Connection, name: string, size: number): Promise<void>
  /** The further requests of a protocol with segments. */
  readonly resumable?: Resumable
}

/** An upload in segments. */
export interface Resumable {
  /** Begins an upload of `size` bytes; resolves with its request target. */
  begin(connection: Connection, name: string, size: number): Promise<string>
  /** Uploads the bytes `start` to `end` (exclusive) of `size`. */
  segment(connection: Connection, target: string, range: ByteRange, size: number): Promise<void>
  /** Fields that a HEAD request carries. */
  readonly headFields: Readonly<Record<string, string>>
  /** Status of HEAD while the upload is incomplete. */
  readonly headStatus: number
}

interface ByteRange {
  readonly start: number
  readonly end: number
}

const MIB = 1024 * 1024
/** Sent again and again. Random, so that neither compression nor a search profits from it. */
const BLOCK = randomBytes(MIB)

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

function multipartByteranges(partSize: number): Protocol {
  return {
    async upload(connection, name, size) {
      await connection.exchange({
        method: 'PATCH',
        target: `/files/${name}`,
        fields: { 'Content-Type': 'multipart/byteranges; boundary=THIS_STRING_SEPARATES' },
        content: multipart(size, partSize),
        expect: 201,
      })
    },
  }
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

/** A server without a protocol of its own: PUT writes a file, PATCH writes at `Upload-Offset`. */
const plain: Protocol = {
  async upload(connection, name, size) {
    const target = `/files/${name}`
    await connection.exchange({ method: 'PUT', target, content: data(size), expect: 204 })
  },
  resumable: {
    async begin(connection, name) {
      await plain.upload(connection, name, 0)
      return `/files/${name}`
    },
    async segment(connection, target, { start, end }) {
      await connection.exchange({
        method: 'PATCH',
        target,
        fields: { 'Upload-Offset': start },
        content: data(end - start),
        expect: 204,
      })
    },
    headFields: {},
    headStatus: 200,
  },
}

/** All protocols by name. */
export const PROTOCOLS = {
  messageByteranges,
  multipartOf1MiB: multipartByteranges(MIB),
  multipartOf4KiB: multipartByteranges(4096),
  tus,
  formData,
  plain,
}

/** A name in `PROTOCOLS`. */
export type ProtocolName = keyof typeof PROTOCOLS

/** A `message/byteranges` document that changes one byte. */
export function oneByte(position: number, size: number): Content {
  return message({ start: position, end: position + 1 }, size)
}

function message({ start, end }: ByteRange, size: number): Content {
  return framed(`Content-Range: bytes ${start}-${end - 1}/${size}\r\n\r\n`, data(end - start), '')
}

/**
 * A `multipart/byteranges` document; sent in chunks of about 1 MiB, whatever the size of its parts.
 */
function multipart(size: number, partSize: number): Content {
  const delimiter = '\r\n--THIS_STRING_SEPARATES\r\n'
  const close = '\r\n--THIS_STRING_SEPARATES--\r\n'
  const head = (start: number): string =>
    `${delimiter}Content-Range: bytes ${start}-${Math.min(size, start + partSize) - 1}/${size}\r\n\r\n`
  let length = size + close.length
  for (let start = 0; start < size; start += partSize) length += head(start).length

  function* chunks(): Generator<Uint8Array, void, undefined> {
    let batch: Uint8Array[] = []
    let held = 0
    for (let start = 0; start < size; start += partSize) {
      const part = BLOCK.subarray(0, Math.min(partSize, size - start))
      batch.push(Buffer.from(head(start)), part)
      held += part.byteLength
      if (held < MIB) continue
      yield Buffer.concat(batch)
      batch = []
      held = 0
    }
    yield Buffer.concat([...batch, Buffer.from(close)])
  }
  return { size: length, chunks: chunks() }
}

function framed(before: string, content: Content, after: string): Content {
  const chunks = [Buffer.from(before), ...content.chunks, Buffer.from(after)]
  return { size: before.length + content.size + after.length, chunks }
}

function data(size: number): Content {
  const chunks = Array<Uint8Array>(Math.floor(size / MIB)).fill(BLOCK)
  const rest = size % MIB
  if (rest > 0) chunks.push(BLOCK.subarray(0, rest))
  return { size, chunks }
}
