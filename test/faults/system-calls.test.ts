/** System calls that fail: a change is made or refused with an error, and the next one works. */
import { describe, expect, it } from 'vitest'

import { MESSAGE, MULTIPART, json, message, multipart } from '../support/wire/client.ts'
import type { Answer, Bytes } from '../support/wire/client.ts'
import {
  FaultServer,
  MEMORY,
  NO_TRACE,
  inject,
  newDirectory,
  pattern,
  title,
} from '../support/faults/server.ts'

/** A change of a resource, from its bytes and state before to those after. */
interface Operation {
  readonly name: string
  readonly prepare: readonly Step[]
  readonly step: Step
  readonly before: Seen
  readonly after: Seen
  /** An interrupted change may leave a prefix of these bytes, and at least those of `before`. */
  readonly persists: boolean
}

type Step = readonly [method: string, fields: readonly string[], body: Bytes]
type Seen = readonly [status: number, bytes: Buffer]

const SIZE = 100_000
const A = pattern(SIZE, 1)
const B = pattern(SIZE, 2)
const NONE: Seen = [404, Buffer.alloc(0)]

const HALF = SIZE / 2
const FIRST: Step = segment(A, 0, HALF, SIZE)
const PUT_A: Step = ['PUT', [], A]
const PARTS: Step = [
  'PATCH',
  [MULTIPART],
  multipart(['bytes 0-999/*', B.subarray(0, 1000)], ['bytes 5000-5999/*', B.subarray(0, 1000)]),
]

function segment(bytes: Buffer, start: number, end: number, length: number | '*'): Step {
  const range = `bytes ${start}-${end - 1}/${length}`
  return ['PATCH', [MESSAGE], message(range, bytes.subarray(start, end))]
}

function patched(bytes: Buffer): Buffer {
  const next = Buffer.from(bytes)
  B.copy(next, 0, 0, 1000)
  B.copy(next, 5000, 0, 1000)
  return next
}

const begun: Seen = [299, A.subarray(0, HALF)]
const OPERATIONS: readonly Operation[] = [
  {
    name: 'first-segment',
    prepare: [],
    step: FIRST,
    before: NONE,
    after: begun,
    persists: true,
  },
  {
    name: 'next-segment',
    prepare: [FIRST],
    step: segment(A, HALF, SIZE - 10, SIZE),
    before: begun,
    after: [299, A.subarray(0, SIZE - 10)],
    persists: true,
  },
  {
    name: 'last-segment',
    prepare: [FIRST],
    step: segment(A, HALF, SIZE, SIZE),
    before: begun,
    after: [200, A],
    persists: true,
  },
  {
    name: 'only-segment',
    prepare: [],
    step: segment(A, 0, SIZE, SIZE),
    before: NONE,
    after: [200, A],
    persists: true,
  },
  {
    name: 'atomic-segment',
    prepare: [FIRST],
    step: ['PATCH', [MESSAGE, 'Prefer: transaction=atomic'], segment(A, HALF, SIZE, SIZE)[2]],
    before: begun,
    after: [200, A],
    persists: false,
  },
  {
    name: 'multipart-on-upload',
    prepare: [FIRST],
    step: PARTS,
    before: begun,
    after: [299, patched(A.subarray(0, HALF))],
    persists: false,
  },
  { name: 'put', prepare: [], step: PUT_A, before: NONE, after: [200, A], persists: false },
  {
    name: 'put-over',
    prepare: [['PUT', [], B]],
    step: PUT_A,
    before: [200, B],
    after: [200, A],
    persists: false,
  },
  {
    name: 'put-over-upload',
    prepare: [FIRST],
    step: ['PUT', [], B],
    before: begun,
    after: [200, B],
    persists: false,
  },
  {
    name: 'patch',
    prepare: [PUT_A],
    step: segment(B, 0, SIZE, '*'),
    before: [200, A],
    after: [200, B],
    persists: false,
  },
  {
    name: 'multipart',
    prepare: [PUT_A],
    step: PARTS,
    before: [200, A],
    after: [200, patched(A)],
    persists: false,
  },
  {
    name: 'truncate',
    prepare: [PUT_A],
    step: ['PATCH', [MESSAGE], message('bytes */1000')],
    before: [200, A],
    after: [200, A.subarray(0, 1000)],
    persists: false,
  },
  {
    name: 'reopen',
    prepare: [PUT_A],
    step: ['PATCH', [MESSAGE], message(`bytes */${2 * SIZE}`)],
    before: [200, A],
    after: [299, A],
    persists: false,
  },
  {
    name: 'delete',
    prepare: [PUT_A],
    step: ['DELETE', [], ''],
    before: [200, A],
    after: NONE,
    persists: false,
  },
  {
    name: 'delete-upload',
    prepare: [FIRST],
    step: ['DELETE', [], ''],
    before: begun,
    after: NONE,
    persists: false,
  },
]

/** libuv uses one of several system calls for the same operation. */
const WRITE = 'pwrite64,pwritev,pwritev2'
const SYNC = 'fsync,fdatasync'
const RENAME = 'rename,renameat,renameat2'
const UNLINK = 'unlink,unlinkat'
const MKDIR = 'mkdir,mkdirat'
const COPY = 'copy_file_range,sendfile'
const ALL = [WRITE, SYNC, RENAME, UNLINK, MKDIR, 'ftruncate', 'utimensat'].join(',')

/**
 * The calls that fail, their error, and when: `2+3` is the second call and each third one after it.
 */
const FAULTS = [
  [WRITE, 'EIO', ['1+', '1+2']],
  [WRITE, 'EDQUOT', ['1+']],
  [WRITE, 'EROFS', ['2+']],
  [SYNC, 'EIO', ['1+', '2+2', '3+4']],
  [SYNC, 'ENOSPC', ['1+']],
  [SYNC, 'EDQUOT', ['2+3']],
  [RENAME, 'EIO', ['1+', '1+2']],
  [RENAME, 'ENOSPC', ['1+']],
  [RENAME, 'EROFS', ['2+2']],
  [MKDIR, 'EIO', ['1+']],
  [MKDIR, 'EDQUOT', ['1+']],
  ['ftruncate', 'EIO', ['1+']],
  ['ftruncate', 'EROFS', ['1+']],
  [UNLINK, 'EIO', ['1+']],
  [UNLINK, 'ENOSPC', ['1+']],
  [UNLINK, 'EROFS', ['2+2']],
  ['openat', 'EIO', ['1+', '2+3']],
  ['openat', 'EROFS', ['3+3']],
  ['openat', 'EMFILE', ['1+2']],
  ['statx', 'EIO', ['1+', '2+3']],
  [COPY, 'EIO', ['1+']],
  [ALL, 'EIO', ['2+3', '3+', '4+']],
  [ALL, 'EROFS', ['1+']],
] as const

/** Faults in the calls that a patch by a layer and a rebuild make. */
const FAULTS_OF_LAYERS = [
  [WRITE, 'EIO', ['1+', '1+2', '2+3']],
  [WRITE, 'ENOSPC', ['1+2']],
  [SYNC, 'EIO', ['1+', '2+2', '3+4']],
  [RENAME, 'EIO', ['1+', '1+2', '2+3']],
  [UNLINK, 'EIO', ['1+', '1+2']],
  ['openat', 'EIO', ['2+3', '3+5']],
  [ALL, 'EIO', ['2+3', '4+']],
] as const

const FULL: readonly string[] = ['ENOSPC', 'EDQUOT']

describe.skipIf(NO_TRACE !== null)(title('with system calls that fail', NO_TRACE), () => {
  it.each([
    ...FAULTS.map((fault) => [...fault, {}] as const),
    ...FAULTS_OF_LAYERS.map(
      (fault) => [...fault, { patch: 'layers', layersAbove: 0, rebuildAfter: 0 }] as const,
    ),
  ])(
    'makes each change completely or not at all: %s with %s at %j, %j',
    async (calls, error, moments, storage) => {
      // In memory if possible, because the time of an fsync does not matter here.
      const directory = newDirectory(MEMORY)
      const server = await FaultServer.start({ directory, threads: 1, storage })
      await changeAndCheck(server, { calls: 'utimensat', error: 'EIO', when: '1000' })
      const handles = server.handles()

      for (const when of moments) await changeAndCheck(server, { calls, error, when })

      // The first changes may keep two handles open. A leak in each change would be far more.
      await server.waitForHandles(handles + 2)
    },
  )
})

interface Fault {
  readonly calls: string
  readonly error: string
  readonly when: string
}

/** Makes every change while calls fail, and then again while none fails. */
async function changeAndCheck(server: FaultServer, fault: Fault): Promise<void> {
  for (const operation of OPERATIONS) await prepare(server, operation)
  const answers: Answer[] = []
  const { calls, error, when } = fault
  const repair = await inject(server.pid, `${calls}:error=${error}:when=${when}`)
  for (const { name, step } of OPERATIONS) answers.push(await send(server, name, step))
  await repair()

  for (const [index, operation] of OPERATIONS.entries()) {
    const { name, step, before, after } = operation
    const { status = 0 } = answers[index] ?? {}
    const seen = await look(server, name)
    const what = `${name} with ${error} at ${when}, answered ${status}, is ${seen[0]} ${seen[1].length}`
    const isDone = status < 300
    const isRight = isDone ? isSame(seen, after) : isPossible(seen, operation, fault)
    if (!isRight) throw new Error(what)
    if (!isDone && status !== (FULL.includes(error) ? 507 : 500)) throw new Error(what)
    if (status === 507) expect(json(answers[index]!)['received']).toBe(seen[1].length)

    if (seen[0] === 299 && seen[1].length < before[1].length) await prepare(server, operation)
    const again = await send(server, name, step)
    const isGone = step[0] === 'DELETE' && again.status === 404
    if (again.status >= 300 && !isGone) throw new Error(`${what}, and then ${again.status}`)
    if (!isSame(await look(server, name), after)) throw new Error(`${what}, and then again`)
    await send(server, name, ['DELETE', [], ''])
  }
}

async function prepare(server: FaultServer, { name, prepare: steps }: Operation): Promise<void> {
  for (const step of steps) await send(server, name, step)
}

async function send(server: FaultServer, name: string, step: Step): Promise<Answer> {
  const [method, fields, body] = step
  return server.send(method, `/files/in/${name}`, fields, body)
}

async function look(server: FaultServer, name: string): Promise<Seen> {
  const head = await send(server, name, ['HEAD', [], ''])
  const { status, body, fields } = await send(server, name, ['GET', [], ''])
  const lengths = fields.filter(([name]) => name === 'Content-Length').map(([, value]) => value)
  expect([head.status, ...lengths]).toEqual([status, String(body.length)])
  return [status, body]
}

function isSame(a: Seen, b: Seen): boolean {
  return a[0] === b[0] && a[1].equals(b[1])
}

/**
 * Whether a resource may have this state after a failure: the state before, a longer upload, or for
 * a removal that of a removed resource.
 */
function isPossible(seen: Seen, operation: Operation, { calls }: Fault): boolean {
  const { step, before, after, persists } = operation
  if (isSame(seen, before)) return true
  if (step[0] === 'DELETE') return isSame(seen, after)
  // A failed fsync may have lost the bytes of an upload, which the client then sends again.
  const least = calls === SYNC || calls === ALL ? 0 : before[1].length
  const mayDiffer = persists || (least === 0 && before[0] === 299)
  const size = seen[1].length
  return mayDiffer && seen[0] === 299 && size >= least && seen[1].equals(A.subarray(0, size))
}
