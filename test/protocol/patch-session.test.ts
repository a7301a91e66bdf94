import { describe, expect, it } from 'vitest'

import type { Part, PartEvent } from '../../src/media/part.ts'
import type { StorageAdapter, Writer } from '../../src/storage/adapter.ts'
import {
  PatchSession,
  type PatchOptions,
  type PatchRules,
} from '../../src/protocol/patch-session.ts'
import { WatchedStorage } from '../support/watched-storage.ts'

const RULES: PatchRules = {
  finished: 'mutable',
  gapStatus: 409,
  appendOnly: false,
}

describe('a patch session', () => {
  it('writes the data of a batch at once', async () => {
    const { session, storage, content } = await open('')

    await session.apply([part(0, 6), data('ab'), data('cd'), data('ef')])

    expect(storage.steps.filter((step) => step === 'write')).toHaveLength(1)
    expect(await content()).toBe('abcdef')
  })

  it('writes parts that touch at once', async () => {
    const { session, storage, content } = await open('', { fillsGaps: true })

    await session.apply([part(0, 2), data('ab'), part(2, 4, 1), data('cd')])

    expect(storage.steps.filter((step) => step === 'write')).toHaveLength(1)
    expect(await content()).toBe('abcd')
  })

  it('writes parts at their positions, later ones over earlier ones', async () => {
    const { session, content } = await open('', { fillsGaps: true })

    await session.apply([
      part(4, 6),
      data('ef'),
      part(0, 4, 1),
      data('abcd'),
      part(1, 2, 2),
      data('X'),
    ])

    expect(await content()).toBe('aXcdef')
  })

  it('continues in a later batch where the last one ended', async () => {
    const { session, content } = await open('ab')

    await session.apply([part(2, 6), data('c')])
    expect(session.isWhole).toBe(false)
    await session.apply([data('de')])
    await session.apply([data('f')])

    expect(session.isWhole).toBe(true)
    expect(await content()).toBe('abcdef')
  })

  it.each([
    ['all of it', 'abcd', 0, []],
    ['all of it in the middle', 'bc', 1, []],
    ['its beginning', 'abcdef', 0, ['write']],
  ] as const)('does not write %s again that is stored', async (_what, text, start, writes) => {
    const { session, storage, content } = await open('abcd')

    await session.apply([part(start, start + text.length), data(text)])

    expect(storage.steps.filter((step) => step === 'write')).toEqual(writes)
    expect(session.changed).toBe(writes.length > 0)
    expect(await content()).toBe('abcdef'.slice(0, Math.max(4, start + text.length)))
  })

  it('stops comparing once it has changed a byte', async () => {
    const { session, storage, content } = await open('abcd')

    await session.apply([part(0, 4), data('X')])
    await session.apply([data('bcd')])

    expect(storage.steps.filter((step) => step === 'read')).toHaveLength(1)
    expect(await content()).toBe('Xbcd')
  })

  it('compares data under any chunking', async () => {
    const text = 'abcdefgh'.repeat(20_000)
    const { session } = await open(text)

    await session.apply([
      part(0, text.length),
      data(text.slice(0, 1)),
      data(''),
      data(text.slice(1, 70_001)),
      data(text.slice(70_001)),
    ])

    expect(session.changed).toBe(false)
  })

  it('truncates a finished resource', async () => {
    const { session, content } = await open('abcd', {}, { complete: true })

    await session.apply([size(2)])

    expect(session.progress).toMatchObject({ size: 2, complete: true })
    expect(await content()).toBe('ab')
  })

  it('reports the type and digest of the first part that names one', async () => {
    const { session } = await open('', { fillsGaps: true })

    await session.apply([
      part(0, 1),
      data('a'),
      part(1, 2, 1, { contentType: 'text/plain', reprDigest: 'sha-256=::' }),
      data('b'),
    ])

    expect([session.outcome.contentType, session.reprDigest]).toEqual(['text/plain', 'sha-256=::'])
  })

  it('calls onCreate once, before anything is written', async () => {
    const asked: unknown[] = []
    const { session, storage } = await open('', {
      fillsGaps: true,
      onFit: async () => {
        asked.push(storage.steps.includes('write'))
      },
    })

    await session.apply([part(0, 1), data('a'), part(1, 2, 1), data('b')])

    expect(asked).toEqual([false])
  })

  it('writes nothing when onCreate refuses', async () => {
    const refusal = new Error('no')
    const { session, storage } = await open('', { onFit: () => Promise.reject(refusal) })

    await expect(session.apply([part(0, 1), data('a')])).rejects.toBe(refusal)

    expect(storage.steps).not.toContain('write')
  })

  it.each([
    [true, 'ERR_GAP', false],
    [false, 'ERR_GAP', true],
  ])(
    'detects a gap, in a multipart: %s, at the part or at the end',
    async (multipart, code, early) => {
      const { session } = await open('abcd', { fillsGaps: multipart })

      const applied = session.apply([part(6, 7), data('g')]).then(
        () => null,
        (error: unknown) => error,
      )

      const atPart = await applied
      expect(atPart !== null).toBe(early)
      expect(() => session.end()).toThrow(expect.objectContaining({ code }))
    },
  )
})

describe('appendOnly', () => {
  const options = { rules: { ...RULES, appendOnly: true } }

  it('refuses different bytes, and reports where they begin', async () => {
    const { session, content } = await open('abcd', options)

    await expect(session.apply([part(1, 5), data('bXde')])).rejects.toMatchObject({
      code: 'ERR_COMPLETE_LENGTH',
      message: expect.stringContaining('stored bytes at 2') as string,
    })
    expect(await content()).toBe('abcd')
  })

  it('accepts the same bytes and new ones', async () => {
    const { session, content } = await open('abcd', options)

    await session.apply([part(1, 5), data('bcde')])

    expect(await content()).toBe('abcde')
  })
})

describe('a finished resource that is immutable', () => {
  const options = { rules: { ...RULES, finished: 'immutable' as const } }

  it.each([
    ['other bytes', [part(1, 2), data('X')]],
    ['more bytes', [part(4, 5), data('e')]],
    ['a cut', [size(2)]],
    ['a length that makes it incomplete', [part(0, 4, 0, { completeLength: 9 }), data('abcd')]],
    ['a length alone', [size(9)]],
    ['another type', [part(0, 4, 0, { contentType: 'text/css' }), data('abcd')]],
  ])('refuses %s, and writes nothing', async (_what, events) => {
    const { session, storage } = await open('abcd', options, { complete: true })

    await expect(session.apply(events)).rejects.toMatchObject({ code: 'ERR_COMPLETE_LENGTH' })

    expect(storage.steps.filter((step) => step !== 'read')).toEqual([])
  })

  it.each([
    ['the same bytes', [part(1, 2), data('b')]],
    ['the same length', [size(4)]],
    ['the same type', [part(1, 2, 0, { contentType: 'text/plain' }), data('b')]],
  ])('accepts %s', async (_what, events) => {
    const { session } = await open('abcd', options, { complete: true })

    await session.apply(events)
    session.end()

    expect(session.changed).toBe(false)
  })
})

async function open(
  stored: string,
  options: Partial<PatchOptions> = {},
  state: { readonly complete?: boolean } = {},
) {
  const storage = new WatchedStorage()
  const complete = state.complete ?? false
  if (stored !== '') await store(storage, stored, complete)
  const writer = await openWriter(storage, 'atomic')
  storage.steps.length = 0
  const session = new PatchSession(writer, {
    rules: RULES,
    fillsGaps: false,
    onFit: () => Promise.resolve(),
    ...options,
  })
  return { session, storage, content: () => content(writer, session.progress.size) }
}

async function store(storage: StorageAdapter, text: string, complete: boolean): Promise<void> {
  const writer = await openWriter(storage, 'atomic')
  await writer.write(0, [Buffer.from(text)])
  const state = {
    complete,
    everComplete: complete,
    contentType: 'text/plain',
    contentDisposition: null,
    reprDigest: null,
    owner: null,
  }
  await writer.commit({ ...state, completeLength: complete ? text.length : null })
}

async function openWriter(
  storage: StorageAdapter,
  transaction: 'atomic' | 'persist',
): Promise<Writer> {
  const initial = { complete: false, everComplete: false, completeLength: null }
  return storage.openWriter('a', {
    transaction,
    replace: false,
    initial: {
      ...initial,
      contentType: null,
      contentDisposition: null,
      reprDigest: null,
      owner: null,
    },
  })
}

async function content(writer: Writer, end: number): Promise<string> {
  const pieces: Uint8Array[] = []
  const size = Math.max(end, 0)
  for await (const piece of writer.read(0, size)) pieces.push(piece)
  return Buffer.concat(pieces).toString().slice(0, size)
}

function part(
  start: number,
  end: number,
  index = 0,
  more: { completeLength?: number; contentType?: string; reprDigest?: string } = {},
): PartEvent {
  const { completeLength = null, contentType = null, reprDigest = null } = more
  const target = { kind: 'range', start, end, completeLength } as const
  return {
    type: 'part',
    part: {
      index,
      target,
      contentType,
      contentDisposition: null,
      contentDigest: null,
      reprDigest,
    } satisfies Part,
  }
}

function size(completeLength: number): PartEvent {
  const target = { kind: 'size', completeLength } as const
  return {
    type: 'part',
    part: {
      index: 0,
      target,
      contentType: null,
      contentDisposition: null,
      contentDigest: null,
      reprDigest: null,
    },
  }
}

function data(text: string): PartEvent {
  return { type: 'data', bytes: Buffer.from(text) }
}
