/** What every kind of source is to a transfer. */
import { ClientError } from './error.ts'
import type { Piece } from './transport.ts'

/** The bytes of a source by position. */
export interface ByteSource {
  /** Length in bytes; null until the end has been read. */
  readonly size: number | null
  /** Media type; empty if unknown. */
  readonly type: string
  /** Whether bytes can be read only once and in order, apart from the last ones that were read. */
  readonly once: boolean
  /**
   * Reads a range into memory; less of it where the source ends.
   *
   * @throws ClientError `ERR_SOURCE`
   */
  read(start: number, end: number): Promise<Uint8Array>
  /**
   * The range as content of a request; less of it where the source ends.
   *
   * @throws ClientError `ERR_SOURCE`
   */
  slice(start: number, end: number): Promise<Piece>
  /** Frees what the source holds. */
  close(): Promise<void>
}

/** Opens a source; `tap` sees all bytes of one that is read only once, in order. */
export type OpenSource = (tap: (bytes: Uint8Array) => void) => Promise<ByteSource>

/** Makes the error for a source that can't be read. */
export function sourceError(message: string, cause?: unknown): ClientError {
  return new ClientError('ERR_SOURCE', message, { cause })
}
