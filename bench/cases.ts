import { CONTESTANTS, type Contestant } from './contestants.ts'
import type { Work } from './measure.ts'

/** One table of the report. */
export interface Case {
  readonly name: string
  /** A description of the requests, printed above the table. */
  readonly title: string
  readonly work: Work
  /** Done before, without being measured; null: a new process counts as well. */
  readonly warmUp: Work | null
  /** The unit of a rate. */
  readonly unit: 'MB' | 'requests'
  readonly contestants: readonly Contestant[]
}

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB

const { ours, copies, durable, multipart1M, multipart4K } = CONTESTANTS
const { bareNode, bareNodeDurable, bareExpress, tus, multer, discard } = CONTESTANTS

const work = (kind: Work['kind'], size: number, more: Partial<Work> = {}): Work => ({
  kind,
  size,
  count: 1,
  connections: 1,
  range: null,
  ...more,
})

/** All cases; `size` is the number of bytes of a large file. */
export function casesOf(size: number): readonly Case[] {
  return [
    {
      name: 'bulk',
      title: `One file of ${size / MIB} MiB in one request`,
      work: work('upload', size),
      warmUp: work('upload', 32 * MIB),
      unit: 'MB',
      contestants: [ours, bareNode, durable, bareNodeDurable, tus, multer, discard],
    },
    {
      name: 'multipart',
      title: `One file of ${size / MIB} MiB in one multipart/byteranges request`,
      work: work('upload', size),
      warmUp: work('upload', 32 * MIB),
      unit: 'MB',
      contestants: [multipart1M, multipart4K, ours, bareNode],
    },
    {
      name: 'segments',
      title: 'Segments of 64 KiB, one after the other on one connection',
      work: work('segments', 64 * KIB, { count: 2000 }),
      warmUp: work('segments', 64 * KIB, { count: 500 }),
      unit: 'requests',
      contestants: [ours, bareExpress, tus, discard],
    },
    {
      name: 'head',
      title: 'HEAD of an incomplete upload, one after the other on one connection',
      work: work('head', 0, { count: 5000 }),
      warmUp: work('head', 0, { count: 1000 }),
      unit: 'requests',
      contestants: [ours, bareExpress, tus, discard],
    },
    {
      name: 'get-small',
      title: 'GET of a file of 64 KiB, one after the other on one connection',
      work: work('get', 64 * KIB, { count: 3000 }),
      warmUp: work('get', 64 * KIB, { count: 500 }),
      unit: 'requests',
      contestants: [ours, bareExpress],
    },
    {
      name: 'get-range',
      title: `GET of ranges of 64 KiB of a file of ${size / MIB} MiB`,
      work: work('get', size, { count: 3000, range: 64 * KIB }),
      warmUp: work('get', MIB, { count: 500, range: 64 * KIB }),
      unit: 'requests',
      contestants: [ours, bareExpress],
    },
    {
      name: 'get-large',
      title: `GET of a file of ${size / MIB} MiB`,
      work: work('get', size),
      warmUp: work('get', 32 * MIB),
      unit: 'MB',
      contestants: [ours, bareExpress],
    },
    ...[MIB, 64 * MIB, size].map((bytes): Case => ({
      name: 'patch',
      title: `One byte of a finished file of ${bytes / MIB} MiB, changed by PATCH`,
      work: work('patch', bytes, { count: bytes > 64 * MIB ? 10 : 50 }),
      warmUp: work('patch', 64 * KIB, { count: 50 }),
      unit: 'requests',
      contestants: [ours, copies],
    })),
    ...[50, 300].map((connections): Case => ({
      name: 'many',
      title: `${connections} uploads of 4 MiB at a time, twice`,
      work: work('upload', 4 * MIB, { connections, count: 2 }),
      warmUp: work('upload', MIB, { connections: 10 }),
      unit: 'MB',
      contestants: [ours, bareNode, tus],
    })),
    ...[64 * MIB, 4 * GIB].map((bytes): Case => ({
      name: 'memory',
      title: `Peak memory of a new process with one upload of ${bytes / MIB} MiB`,
      work: work('upload', bytes),
      warmUp: null,
      unit: 'MB',
      contestants: [ours, bareNode, tus],
    })),
  ]
}
