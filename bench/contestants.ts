import type { ProtocolName } from './protocols.ts'

/** A server, and how it is spoken to. */
export interface Contestant {
  /** Name in the tables. */
  readonly label: string
  /** File in `servers/`, compiled. */
  readonly server: string
  /** Arguments of the server after the directory. */
  readonly args: readonly string[]
  readonly protocol: ProtocolName
}

/** The label that ratios "× bare" divide by. */
export const BARE = 'bare server'
/** The label that ratios "× tus" divide by. */
export const TUS = '@tus/server'
/** Stores nothing, so that the stored bytes are not checked. */
export const DISCARD = 'read and discard'

/** All contestants by a short name. */
export const CONTESTANTS = {
  ours: {
    label: 'partial-upload',
    server: 'partial-upload.js',
    args: ['never'],
    protocol: 'messageByteranges',
  },
  /** The package as it is without options: finished files are durable. */
  durable: {
    label: "partial-upload, fsync: 'complete'",
    server: 'partial-upload.js',
    args: ['complete'],
    protocol: 'messageByteranges',
  },
  /** Changes a finished file by a copy, which is the default of the file store. */
  copies: {
    label: "partial-upload, patch: 'copy'",
    server: 'partial-upload.js',
    args: ['never', 'copy'],
    protocol: 'messageByteranges',
  },
  multipart1M: {
    label: 'partial-upload, parts of 1 MiB',
    server: 'partial-upload.js',
    args: ['never'],
    protocol: 'multipartOf1MiB',
  },
  multipart4K: {
    label: 'partial-upload, parts of 4 KiB',
    server: 'partial-upload.js',
    args: ['never'],
    protocol: 'multipartOf4KiB',
  },
  /** Node's own server and `writev`. */
  bareNode: { label: BARE, server: 'bare-node.js', args: ['never'], protocol: 'plain' },
  bareNodeDurable: {
    label: 'bare server, fdatasync',
    server: 'bare-node.js',
    args: ['complete'],
    protocol: 'plain',
  },
  /** Express with `pwrite`, `stat` and `send`. */
  bareExpress: { label: BARE, server: 'bare-express.js', args: [], protocol: 'plain' },
  tus: { label: TUS, server: 'tus.js', args: [], protocol: 'tus' },
  multer: { label: 'multer', server: 'multer.js', args: [], protocol: 'formData' },
  discard: { label: DISCARD, server: 'discard.js', args: [], protocol: 'plain' },
} as const satisfies Record<string, Contestant>
