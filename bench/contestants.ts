import type { ProtocolName } from './protocols.ts'

/** What is measured: one table each. */
export const CASES = ['body', 'segments', 'head', 'memory'] as const

/** A name in `CASES`. */
export type CaseName = (typeof CASES)[number]

/** A server, and how it is spoken to. */
export interface Contestant {
  /** Name in the tables. */
  readonly label: string
  /** File in `servers/`. */
  readonly server: string
  /** Arguments of the server after the directory. */
  readonly args: readonly string[]
  readonly protocol: ProtocolName
  /** The tables it stands in. */
  readonly cases: readonly CaseName[]
}

/** The contestants that the ratios and targets refer to. */
export const OURS = 'partial-upload'
export const OURS_MULTIPART = 'partial-upload, multipart'
export const TUS = '@tus/server'
export const DISCARD = 'read and discard'

const CONTESTANTS: readonly Contestant[] = [
  {
    label: OURS,
    server: 'partial-upload.js',
    args: ['complete'],
    protocol: 'messageByteranges',
    cases: ['body', 'segments', 'head', 'memory'],
  },
  {
    label: OURS_MULTIPART,
    server: 'partial-upload.js',
    args: ['complete'],
    protocol: 'multipartByteranges',
    cases: ['body', 'memory'],
  },
  {
    label: TUS,
    server: 'tus.js',
    args: [],
    protocol: 'tus',
    cases: ['body', 'segments', 'head', 'memory'],
  },
  {
    label: 'multer',
    server: 'multer.js',
    args: [],
    protocol: 'formData',
    cases: ['body'],
  },
  {
    label: 'pipeline to a file',
    server: 'pipeline.js',
    args: [],
    protocol: 'put',
    cases: ['body', 'segments', 'head'],
  },
  {
    label: DISCARD,
    server: 'discard.js',
    args: [],
    protocol: 'put',
    cases: ['body', 'segments', 'head', 'memory'],
  },
]

/** The contestants of a case, with one more of this package for each further `fsync` setting. */
export function contestantsOf(name: CaseName, fsync: readonly string[]): readonly Contestant[] {
  return [...CONTESTANTS.slice(0, 2), ...fsync.map(withFsync), ...CONTESTANTS.slice(2)].filter(
    ({ cases }) => cases.includes(name),
  )
}

function withFsync(setting: string): Contestant {
  return {
    label: `partial-upload, fsync: '${setting}'`,
    server: 'partial-upload.js',
    args: [setting],
    protocol: 'messageByteranges',
    cases: ['body', 'segments'],
  }
}
